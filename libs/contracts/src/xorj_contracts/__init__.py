"""Generated protobuf and the one codec between bytes and core facts."""
