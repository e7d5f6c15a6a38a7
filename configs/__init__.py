"""Shipped run configurations; `bnntrain fit digits` finds them by name."""
