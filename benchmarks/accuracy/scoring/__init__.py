"""Scores of the accuracy benchmark: answers, descriptions, stale cells."""
