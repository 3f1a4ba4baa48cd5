"""What the signer demands of a trade before the key is used: pure rules over records that it has read by itself."""
