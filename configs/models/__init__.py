"""Shipped models: lists of layers."""
