"""The language of Tidegate: topics, Avro and Arrow schemas, examples, codec, units.

Invariant: every process boundary is described here and nowhere else, and nothing in this folder imports
another folder of the project. Rejected: a shared `common` package, which would let processes meet by import.
"""
