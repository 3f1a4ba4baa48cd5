"""A local Solana cluster: the real virtual machine behind JSON-RPC and WebSocket on one loopback port.

Start it with ``python -m xorj_localnet.chain``; settings are read in ``settings.py``.
"""
