"""Architecture, quantizer and prior together: pictures to files and back, and models as files."""
