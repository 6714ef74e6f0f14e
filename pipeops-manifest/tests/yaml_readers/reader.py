"""Reads YAML with PyYAML. Input and output as of main.go."""

import json
import sys

import yaml


def with_string_keys(value):
    """JSON would write other keys as strings, and hide what they are."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is no string")
            with_string_keys(inner)
    elif isinstance(value, list):
        for inner in value:
            with_string_keys(inner)
    return value


for line in sys.stdin:
    try:
        print(json.dumps(with_string_keys(yaml.safe_load(json.loads(line)))))
    except Exception as error:
        print(json.dumps({"error": str(error)}))
