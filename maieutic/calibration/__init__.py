"""Calibration: how often a model is right when it is this sure, learnt from recorded runs."""
