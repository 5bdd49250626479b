from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.adapter_drafts import DEFAULTS

from node.core.adapter import CONFIG, FILES, WEIGHTS
from node.core.training import PROJECTIONS, TrainingSpec
from node.errors import InvalidInput
from node.models.base import BaseModel
from node.models.lora import lora_shapes
from node.verifier.adapters import FolderAdapters

pytestmark = pytest.mark.stack

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")


def saved(base: BaseModel, spec: TrainingSpec, folder: Path, *, dtype: Any = torch.float32, **options: Any) -> Any:
    """A model with a random adapter, saved by PEFT's own `save_pretrained`."""
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_pretrained(base.folder, dtype=dtype, local_files_only=True)
    config = peft.LoraConfig(
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        target_modules=list(spec.target_modules),
        task_type="CAUSAL_LM",
        **options,
    )
    adapted = peft.get_peft_model(model, config, autocast_adapter_dtype=False)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.save_pretrained(folder)
    return adapted.eval()


def handed_in(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in FILES}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    ("rank", "targets"), [(1, PROJECTIONS), (8, PROJECTIONS), (32, ("q_proj", "v_proj")), (3, ("down_proj",))]
)
def test_what_peft_saves_passes_and_answers_the_same_where_it_is_placed(
    tiny_llama: BaseModel, tmp_path: Path, rank: int, targets: tuple[str, ...], dtype: str
) -> None:
    spec = TrainingSpec(lora_rank=rank, lora_alpha=2 * rank, target_modules=targets)
    adapted = saved(tiny_llama, spec, tmp_path / "saved", dtype=getattr(torch, dtype), lora_dropout=0.05)
    base = transformers.AutoModelForCausalLM.from_pretrained(
        tiny_llama.folder, dtype=getattr(torch, dtype), local_files_only=True
    )
    with FolderAdapters(tmp_path / "placed", tiny_llama).placed(handed_in(tmp_path / "saved"), spec) as placed:
        assert {path.name for path in placed.folder.iterdir()} == FILES
        again = peft.PeftModel.from_pretrained(base, placed.folder, autocast_adapter_dtype=False).eval()
    with torch.no_grad():
        prompt = torch.tensor([[1, 50, 60, 70]])
        assert torch.equal(again(prompt).logits, adapted(prompt).logits)


@pytest.mark.parametrize(
    "options",
    [
        {"use_dora": True},
        {"use_rslora": True},
        {"bias": "lora_only"},
        {"lora_bias": True},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 2}},
        {"alpha_pattern": {"q_proj": 2}},
        {"layers_to_transform": [0]},
        {"init_lora_weights": "pissa"},
        {"trainable_token_indices": [3]},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.filterwarnings("ignore")  # PEFT's remarks on these options
def test_every_variant_of_lora_is_refused(tiny_llama: BaseModel, tmp_path: Path, options: dict[str, Any]) -> None:
    spec = TrainingSpec(lora_rank=4, lora_alpha=4)
    saved(tiny_llama, spec, tmp_path / "saved", **options)
    with pytest.raises(InvalidInput, match="is refused"):
        FolderAdapters(tmp_path / "placed", tiny_llama).check(handed_in(tmp_path / "saved"), spec)


def test_the_drafts_of_the_unit_tests_have_the_fields_that_peft_writes() -> None:
    written = peft.LoraConfig(r=4, task_type="CAUSAL_LM").to_dict().keys()
    assert DEFAULTS.keys() <= written | {"peft_version"}


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_file_of_another_specification_is_refused(tiny_llama: BaseModel, tmp_path: Path, name: str) -> None:
    spec, other = TrainingSpec(lora_rank=4), TrainingSpec(lora_rank=8)
    assert lora_shapes(tiny_llama, spec) != lora_shapes(tiny_llama, other)
    for each in (spec, other):
        saved(tiny_llama, each, tmp_path / str(each.lora_rank))
    files = handed_in(tmp_path / "4") | {name: handed_in(tmp_path / "8")[name]}
    with pytest.raises(InvalidInput, match="is refused"):
        FolderAdapters(tmp_path / "placed", tiny_llama).check(files, spec)
