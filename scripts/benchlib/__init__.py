"""The benchmark of scripts/bench: servers, load, machine, report. No part of the tracker."""
