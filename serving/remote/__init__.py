"""Asking a server from outside, over REST or gRPC: rankings, golden requests, the contract."""
