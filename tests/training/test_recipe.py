"""A recipe from presets, TOML and JSON; and a sentence for every recipe that can't be."""

import dataclasses
import json
import tomllib
from importlib import resources

import pytest
import tiny_run
from minillm import Config
from minillm.training import Settings
from minillm.training.recipe import Data, Recipe

PRESETS = tomllib.loads((resources.files("minillm.training") / "presets.toml").read_text("utf-8"))
PARTS = {"model": Config, "data": Data, "training": Settings}


def as_toml(tables: dict) -> str:
    """JSON's strings, numbers and lists are TOML's too. What is None is left out."""
    def value(x):
        return "{" + ", ".join(f"{name} = {value(each)}" for name, each in x.items()) + "}" if isinstance(x, dict) else json.dumps(x)
    return "\n".join(f"[{table}]\n" + "".join(f"{name} = {value(x)}\n" for name, x in values.items() if x is not None)
                     for table, values in tables.items())


@pytest.mark.parametrize("name", Config.preset_names())
def test_every_preset_is_a_recipe_and_survives_the_way_through_json_and_toml(name, tmp_path):
    recipe = Recipe.preset(name)
    changes = {key: value for key, value in vars(recipe.model).items() if value != vars(Config.preset(name))[key]}
    assert changes.keys() <= PRESETS.get(name, {}).get("model", {}).keys(), "only what presets.toml says differs from the model's own preset"
    recipe.write(tmp_path / "recipe.json")
    (tmp_path / "recipe.toml").write_text(as_toml(recipe.to_dict()))
    assert Recipe.read(tmp_path / "recipe.json") == recipe
    assert Recipe.read(tmp_path / "recipe.toml") == recipe


def test_the_table_of_presets_names_presets_and_fields_that_exist():
    for name, tables in PRESETS.items():
        assert name in Config.preset_names(), f"presets.toml has a table for {name}, which is no preset"
        assert tables.keys() <= PARTS.keys()
        for part, values in tables.items():
            unknown = values.keys() - {field.name for field in dataclasses.fields(PARTS[part])}
            assert not unknown, f"[{name}.{part}] in presets.toml sets {unknown}, which is no field"


def test_what_presets_toml_says_of_a_preset_is_in_its_recipe():
    for name, tables in PRESETS.items():
        recipe = Recipe.preset(name)
        for part, values in tables.items():
            for field, value in values.items():
                found = getattr(getattr(recipe, part), field)
                assert (list(found) if isinstance(found, tuple) else found) == value, f"{name}'s {field}"


def test_a_file_changes_single_fields_of_a_preset_and_keeps_the_others(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[model]\npreset = "llama-nano"\nnum_layers = 3\ninitialisation = "gpt2"\n[data]\ndata = "stdlib"\n[training]\nsteps = 7\n')
    preset, recipe = Recipe.preset("llama-nano"), Recipe.read(path)
    assert recipe == preset.replace(num_layers=3, initialisation="gpt2", data=("stdlib",), steps=7)
    assert recipe.training.lr == preset.training.lr != Settings().lr, "what we found good for the preset is gone"


def test_single_fields_are_replaced_whichever_part_they_belong_to():
    recipe = tiny_run.tiny("text.txt").replace(d_ff=40, batch_size=5, lr=0.5)
    assert (recipe.model.d_ff, recipe.data.batch_size, recipe.training.lr) == (40, 5, 0.5)
    with pytest.raises(ValueError, match="no field d_fff"):
        recipe.replace(d_fff=40)


def test_what_was_derived_is_derived_anew():
    recipe = tiny_run.tiny("text.txt")
    wider = recipe.replace(d_model=48, num_heads=3).model
    assert (wider.head_size, wider.num_kv_heads) == (16, 3)
    grouped = recipe.replace(num_kv_heads=1, d_model=32).model
    assert (grouped.head_size, grouped.num_kv_heads) == (16, 1), "what was given stays"


SHAPE = "vocab_size = 300\nd_model = 16\nnum_layers = 1\nnum_heads = 2\nd_ff = 24\nmax_seq_len = 32\n"


@pytest.mark.parametrize(("text", "sentence"), [
    ("[model", "can't be read as TOML"),
    ("[model]\nd_model = 1\nd_model = 2", "can't be read as TOML"),
    ("[training]\nsteps = " + "1" * 5000, "can't be read as TOML"),
    ("x = " + "[" * 100_000, "can't be read as TOML: it is nested too deeply"),
    (b"\xff\xfe", "can't be read as TOML"),
    ("model = 3", r"has the tables \[model\], \[data\] and \[training\]"),
    ("[modle]", "and no modle"),
    ("", "config lacks vocab_size"),
    ('[model]\npreset = "llama-nan"', "no preset 'llama-nan'. The presets are"),
    ("[model]\npreset = 3", "preset must be the name of one, such as llama-nano, not 3"),
    ('[model]\npreset = ["llama-nano"]', "preset must be the name of one"),
    ('[model]\npreset = "llama-nano"\nd_modle = 3', "no field d_modle"),
    ('[model]\npreset = "llama-nano"\nd_model = "3"', "d_model must be a whole number"),
    ("[data]\nbatchsize = 3\n[model]\n" + SHAPE, "The data of a recipe has no setting batchsize"),
    ("[data]\ndata = []\n[model]\n" + SHAPE, "names no data"),
    ("[data]\ndata = [3]\n[model]\n" + SHAPE, "names no data"),
    ("[data]\ndata = 3\n[model]\n" + SHAPE, "data must be of type tuple, not 3"),
    ("[data]\norder = 'randm'\n[model]\n" + SHAPE, "order must be one of random, sequential, packed"),
    ("[data]\nbatch_size = 0\n[model]\n" + SHAPE, "at least one row"),
    ("[data]\nbatch_size = 2.0\n[model]\n" + SHAPE, "batch_size must be of type int"),
    ("[data]\nvalidation = 1.0\n[model]\n" + SHAPE, "validation is the share"),
    ("[data]\nvalidation = nan\n[model]\n" + SHAPE, "validation is the share"),
    ("[data]\ntokenizer = 3\n[model]\n" + SHAPE, "tokenizer must be of type str"),
    ("[training]\nstesp = 3\n[model]\n" + SHAPE, "Training has no setting stesp"),
    ("[training]\nlr = '1e-3'\n[model]\n" + SHAPE, "lr must be of type float"),
    ("[training]\nlr = inf\n[model]\n" + SHAPE, "lr must be a finite number"),
    ("[training]\nlr = 2020-01-01\n[model]\n" + SHAPE, "lr must be of type float"),
    ("[training]\nseed = -1\n[model]\n" + SHAPE, "seed must be 0 or more"),
])
def test_a_file_that_is_no_recipe_is_told_by_its_name_and_what_is_wrong(tmp_path, text, sentence, unchecked):
    path = tmp_path / "run.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"run.toml.*{sentence}"):
        Recipe.read(path)


@pytest.mark.parametrize("text", ["[]", "3", "{", '{"model": {}, "model": {}}', "null", "[" * 100_000])
def test_a_broken_recipe_json_is_told_by_its_name(tmp_path, text, unchecked):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(ValueError, match=r"recipe\.json"):
        Recipe.read(tmp_path / "recipe.json")
