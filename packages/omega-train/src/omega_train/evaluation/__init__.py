"""Evaluation of codecs on pictures decoded from files. It does not depend on training or Lightning."""
