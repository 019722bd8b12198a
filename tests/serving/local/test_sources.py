"""A models.config of TensorFlow Serving names the local server's models, or is refused with a reason."""

import pytest

from serving.local.sources import read_sources

HEAD = 'model_config_list { config { name: "m" base_path: "/models/m" model_platform: "tensorflow" '


def test_versions_and_labels_are_read(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(
        HEAD
        + 'model_version_policy { specific { versions: 1 versions: 2 } } version_labels { key: "stable" value: 1 } '
        "} config { name: 'n' base_path: '/models/n' } }"
    )
    first, second = read_sources(path)
    assert (first.name, str(first.base_path), first.versions) == ("m", "/models/m", (1, 2))
    assert first.labels == {"stable": 1}
    assert (second.name, second.versions, second.newest) == ("n", (), 1)


@pytest.mark.parametrize(
    ("policy", "newest"), [("all { }", None), ("latest { num_versions: 3 }", 3), ("latest { }", 1)]
)
def test_policies_without_numbers_say_how_many_of_the_newest(tmp_path, policy, newest):
    path = tmp_path / "models.config"
    path.write_text(HEAD + f"model_version_policy {{ {policy} }} }} }}")
    (source,) = read_sources(path)
    assert (source.versions, source.newest) == ((), newest)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("models { }", "ModelServerConfig"),
        ("model_config_list { }", "no model"),
    ],
)
def test_config_that_cannot_be_served_is_refused(tmp_path, text, reason):
    path = tmp_path / "models.config"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_sources(path)
