"""Holds the benchmark of scripts/bench, which is no part of the tracker."""
