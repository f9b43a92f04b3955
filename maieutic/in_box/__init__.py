"""How the in-box model is made: worked solutions, role dialogues, tokenizer, training, export and card.

Nothing here is needed to run the model (see `maieutic.llm.in_box`); everything here is needed to make it again.
"""
