"""From a training checkpoint to what ships: a Hugging Face folder, and an ONNX graph for the runtime.

The graph is written by hand, a dozen nodes a layer: onnxruntime's grouped-query attention keeps the key-value cache in
place and takes rows of different lengths in one batch, which a traced export would not.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.errors import UserError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from transformers import LlamaForCausalLM

_OPSET = 21
_PAD, _END = 0, 2


def export(weights: Path, folder: Path) -> None:
    """Write the checkpoint at `weights` (a state dict) and the tokenizer beside it as a model folder."""
    import shutil

    import torch

    from maieutic.in_box.train import SIZES, new_model

    state = torch.load(weights, map_location="cpu")
    width = state["model.embed_tokens.weight"].shape[1]
    model = new_model(next(name for name, size in SIZES.items() if size.width == width))
    model.load_state_dict(state)
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(model, folder)
    save_graph(model, folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(weights.parent / name, folder / name)


def add_graph(folder: Path) -> None:
    """Write model.onnx beside a checkpoint of the in-box model's architecture, as transformers has saved it."""
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(LlamaConfig.from_pretrained(folder))
    missing, unknown = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    if unknown or set(missing) - {"lm_head.weight"}:  # which is the embedding, and saved once
        raise UserError(f"{folder} holds no checkpoint of the in-box model's architecture.")
    save_graph(model, folder)


def save_checkpoint(model: "LlamaForCausalLM", folder: Path) -> None:
    """config.json, generation_config.json and model.safetensors, as transformers writes them."""
    model.generation_config.update(eos_token_id=_END, pad_token_id=_PAD, bos_token_id=None)
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def save_graph(model: "LlamaForCausalLM", folder: Path) -> None:
    """model.onnx: the same weights in fp32."""
    import onnx

    onnx.save(_Graph(model).build(), str(folder / "model.onnx"))


class _Graph:
    """Inputs: ids (rows, length), last (rows,) flat index of each row's last token, seen (rows,) tokens cached
    including these, minus one, longest () of them, and past.i.key/value (rows, heads, room, width).
    Outputs: logits (rows, vocabulary) and present.i.key/value, which may be the same memory as past.
    """

    def __init__(self, model: "LlamaForCausalLM") -> None:
        self.config: Any = model.config
        self.weights = {name: w.detach().float().numpy() for name, w in model.state_dict().items()}
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}

    def build(self) -> "ModelProto":
        from onnx import helper, numpy_helper

        inputs, outputs = self._interface()
        self._rotary()
        self.constants["embedding"] = self.weights["model.embed_tokens.weight"]
        flow = self._node("Gather", ["embedding", "ids"], axis=0)
        for layer in range(self.config.num_hidden_layers):
            flow = self._layer(layer, flow)
        flow = self._norm(flow, "model.norm.weight")
        self.constants["flat"] = np.array([-1, self.config.hidden_size])
        flow = self._node("Gather", [self._node("Reshape", [flow, "flat"]), "last"], axis=0)
        self._node("Gemm", [flow, "embedding"], out="logits", transB=1)
        initial = [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in self.constants.items()]
        graph = helper.make_graph(self.nodes, "in_box", inputs, outputs, initial)
        domains = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=domains, ir_version=10)

    def _interface(self) -> tuple[list[Any], list[Any]]:
        from onnx import TensorProto, helper

        cache = ["rows", self.config.num_key_value_heads, "room", self.config.head_dim]
        layers = [f"{i}.{part}" for i in range(self.config.num_hidden_layers) for part in ("key", "value")]
        inputs = [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["rows", "length"]),
            helper.make_tensor_value_info("last", TensorProto.INT64, ["rows"]),
            helper.make_tensor_value_info("seen", TensorProto.INT32, ["rows"]),
            helper.make_tensor_value_info("longest", TensorProto.INT32, []),
        ]
        inputs += [helper.make_tensor_value_info(f"past.{name}", TensorProto.FLOAT, cache) for name in layers]
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", self.config.vocab_size])]
        outputs += [helper.make_tensor_value_info(f"present.{name}", TensorProto.FLOAT, cache) for name in layers]
        return inputs, outputs

    def _rotary(self) -> None:
        half = self.config.head_dim // 2
        theta = self.config.rope_parameters["rope_theta"]
        inverse = 1.0 / theta ** (np.arange(half, dtype=np.float64) / half)
        angles = np.outer(np.arange(self.config.max_position_embeddings), inverse)
        self.constants |= {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}

    def _layer(self, layer: int, flow: str) -> str:
        name = f"model.layers.{layer}"
        normed = self._norm(flow, f"{name}.input_layernorm.weight")
        query, key, value = (self._linear(normed, f"{name}.self_attn.{part}_proj") for part in "qkv")
        caches = [f"past.{layer}.key", f"past.{layer}.value"]
        attended = self._node(
            "GroupQueryAttention",
            [query, key, value, *caches, "seen", "longest", "cos", "sin"],
            out=f"attended.{layer}",
            more=[f"present.{layer}.key", f"present.{layer}.value"],
            domain="com.microsoft",
            num_heads=self.config.num_attention_heads,
            kv_num_heads=self.config.num_key_value_heads,
            do_rotary=1,
        )
        flow = self._node("Add", [flow, self._linear(attended, f"{name}.self_attn.o_proj")])
        normed = self._norm(flow, f"{name}.post_attention_layernorm.weight")
        gate = self._linear(normed, f"{name}.mlp.gate_proj")
        silu = self._node("Mul", [gate, self._node("Sigmoid", [gate])])
        wide = self._node("Mul", [silu, self._linear(normed, f"{name}.mlp.up_proj")])
        return self._node("Add", [flow, self._linear(wide, f"{name}.mlp.down_proj")])

    def _linear(self, flow: str, name: str) -> str:
        self.constants[name] = self.weights[f"{name}.weight"].T
        return self._node("MatMul", [flow, name])

    def _norm(self, flow: str, name: str) -> str:
        self.constants[name] = self.weights[name]
        return self._node(
            "SimplifiedLayerNormalization", [flow, name], axis=-1, epsilon=self.config.rms_norm_eps, stash_type=1
        )

    def _node(
        self, kind: str, inputs: list[str], out: str = "", more: list[str] | None = None, **attributes: Any
    ) -> str:
        from onnx import helper

        out = out or f"{kind.lower()}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out, *(more or [])], **attributes))
        return out
