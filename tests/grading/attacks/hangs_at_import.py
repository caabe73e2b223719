"""Waits for input that never comes, then for ever."""
import select
import sys

sys.stdin.read()
select.select([], [], []) if hasattr(select, "select") else None
while True:
    pass
