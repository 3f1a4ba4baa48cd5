"""Random instruction sequences on the real virtual machine against the model of tests/programs/model.py."""
