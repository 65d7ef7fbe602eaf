"""The benchmark behind scripts/bench: servers, load, machine, report. No part of the tracker."""
