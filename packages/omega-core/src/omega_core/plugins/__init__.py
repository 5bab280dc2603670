"""Components and models that distributions register, and how they are found, checked and made."""
