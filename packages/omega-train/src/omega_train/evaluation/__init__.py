"""How good codecs are: measured on pictures decoded from files. Nothing here knows training, or imports Lightning."""
