"""Measures: zero-shot accuracy, alignment, and the intervals that go with them."""
