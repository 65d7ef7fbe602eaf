"""The benchmark of scripts/bench: servers, load, machine, report. Not a part of the tracker."""
