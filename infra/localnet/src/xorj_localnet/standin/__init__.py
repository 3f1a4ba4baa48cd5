"""What the stand-ins for outside services share: how they listen, and how a test makes them misbehave."""
