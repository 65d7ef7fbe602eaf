"""Implements the ports of the API in memory, a module for each, and records the calls."""

from tests.api.fakes.changes import FakeChanges as FakeChanges
from tests.api.fakes.commands import FakeCommands as FakeCommands
from tests.api.fakes.consumers import FakeConsumers as FakeConsumers
from tests.api.fakes.gauges import FakeGauges as FakeGauges
from tests.api.fakes.log import TOTALS as TOTALS
from tests.api.fakes.log import FakeLog as FakeLog
from tests.api.fakes.model import COUNTERS as COUNTERS
from tests.api.fakes.model import FakeModel as FakeModel
from tests.api.fakes.past import DIFF as DIFF
from tests.api.fakes.past import EXPLANATION as EXPLANATION
from tests.api.fakes.past import OUTAGE as OUTAGE
from tests.api.fakes.past import REPLY as REPLY
from tests.api.fakes.past import STAY as STAY
from tests.api.fakes.past import SUMMARY as SUMMARY
from tests.api.fakes.past import SWARM as SWARM
from tests.api.fakes.past import FakePast as FakePast
from tests.api.fakes.reruns import CHECK as CHECK
from tests.api.fakes.reruns import WHAT_IF as WHAT_IF
from tests.api.fakes.reruns import FakeReruns as FakeReruns
from tests.api.fakes.values import LONGEST_S as LONGEST_S
from tests.api.fakes.values import NOW_US as NOW_US
from tests.api.fakes.values import RANDOM_KEY as RANDOM_KEY
from tests.api.fakes.webhooks import FakeWebhooks as FakeWebhooks
