#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""schema.py SCHEMA FILE: is the JSON of FILE as SCHEMA says? Exit 0 yes, 1 no, 77 no jsonschema here.

Also 1 for a schema that is none, and for one that an empty object would satisfy: it proves nothing."""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)


def main(schema_path, file_path):
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    with open(file_path, encoding="utf-8") as file:
        value = json.load(file)
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema)
    if validator(schema).is_valid({}):
        sys.exit(f"{schema_path}: takes an empty object")
    errors = list(validator(schema).iter_errors(value))
    for error in errors[:5]:
        print(f"{file_path}: {'/'.join(map(str, error.path))}: {error.message}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
