import pytest
import yaml

from nas.config import RunConfig, read_yaml
from nas.core.durations import parse_duration
from nas.core.errors import UserError


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), (90, 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), ("2d", 172800)],
)
def test_durations(text, value):
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "ten", "10 x", "-5m", "0s", "5mm"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
    with pytest.raises(UserError, match="--time-limit"):
        RunConfig.checked({"time_limit": text})


def test_yaml_round_trip_repeats_the_run(tmp_path):
    config = RunConfig.checked(
        {"trials": 7, "pin": {"latent": 8}, "restrict": {"width": [8, 16]}, "time_limit": "10m", "name": "x"}
    )
    file = tmp_path / "run.yaml"
    file.write_text(config.to_yaml())
    assert "time-limit: 10m" in config.to_yaml()
    assert RunConfig.checked(read_yaml(file)) == config.model_copy(update={"name": None})


def test_yaml_takes_dashes_and_underscores_and_single_values(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("train_size: 50\nmax-failures: 3\nobjective: ssim\nrestrict: {width: 8}\n")
    config = RunConfig.checked(read_yaml(file))
    assert (config.train_size, config.max_failures, config.objective) == (50, 3, ["ssim"])
    assert config.restrict == {"width": [8]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trails: 3", "trails.*did you mean 'trials'"),
        ("- a\n- b", "not a mapping"),
        ("a: [", "YAML"),
    ],
)
def test_faulty_yaml_is_refused_in_one_line(tmp_path, text, message):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_yaml(file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="--config"):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "--trials 0.*allowed: a whole number from 1"),
        ({"trials": "many"}, "--trials 'many'"),
        ({"device": "tpu"}, "--device 'tpu'.*auto, cpu, cuda"),
        ({"name": "../x"}, "--name"),
        ({"seed": -1}, "--seed -1"),
        ({"image_size": 2}, "--image-size 2.*allowed: a side from 4 to 1024, or HEIGHTxWIDTH"),
        ({"image_size": "48x"}, "--image-size '48x'"),
        ({"image_size": True}, "--image-size True"),
        ({"image_size": [8, 8, 8]}, "--image-size"),
        ({"split": "random"}, "--split 'random'.*allowed: stratified, shuffled"),
        ({"channels": "CMYK"}, "--channels 'CMYK'.*allowed: auto, L, RGB, RGBA"),
        ({"background": "#12345"}, "--background '#12345'.*allowed: white, black or #rrggbb"),
        ({"image_shape": "9"}, "--image-shape '9'.*allowed: HxW, CxHxW"),
        ({"label": 3}, "--label 3.*allowed: first, last, none"),
        ({"objective": ["mse", "mse"]}, "--objective"),
        ({"trils": 3}, "--trils.*did you mean 'trials'"),
    ],
)
def test_bad_values_name_option_value_and_what_is_allowed(options, message):
    with pytest.raises(UserError, match=message) as caught:
        RunConfig.checked(options)
    assert "allowed" in str(caught.value)


def test_every_option_survives_yaml():
    passing = ("name", "runs_dir", "from_", "warm_start", "continue_")
    assert set(yaml.safe_load(RunConfig().to_yaml())) == {
        name.replace("_", "-") for name in RunConfig.model_fields if name not in passing
    }


def test_normal_labels_are_a_list_or_a_text_with_commas():
    for given in ("0, cat", [0, "cat"]):
        assert RunConfig.checked({"normal": given}).normal == ["0", "cat"]
    assert RunConfig.checked({"normal": 3}).normal == ["3"]


@pytest.mark.parametrize(
    ("given", "kept", "size"),
    [(64, 64, (64, 64)), ("64", 64, (64, 64)), ("64x64", 64, (64, 64)), ((48, 64), "48x64", (48, 64)),
     ("1024X4", "1024x4", (1024, 4)), (None, None, None)],
)  # fmt: skip
def test_sizes_have_one_spelling_and_survive_yaml(given, kept, size, tmp_path):
    config = RunConfig.checked({"image_size": given})
    (tmp_path / "run.yaml").write_text(config.to_yaml())
    again = RunConfig.checked(read_yaml(tmp_path / "run.yaml"))
    assert again.image_size == config.image_size == kept
    assert again.reading.size == size
