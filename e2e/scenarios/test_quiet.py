"""Nothing changes, so nothing is written: counted by the API server's own audit log."""

import collections
import json
import time

import pytest

from harness.cluster import until

pytestmark = pytest.mark.alone

OPERATOR = "system:serviceaccount:keda:keda-operator"
SECONDS = 30


def audited(state, offset: int) -> tuple[list[dict], int]:
    """Requests that the API server has answered since `offset` of its audit log."""
    with open(state / "log/audit.log") as file:
        file.seek(offset)
        lines = [line for line in file if line.endswith("\n")]
    entries = []
    for line in lines:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            pass  # an API server that another scenario killed left half a line, and its successor went on in it
    return entries, offset + sum(len(line.encode()) for line in lines)


def writes(state, offset: int) -> tuple[collections.Counter, int]:
    """The operator's writes since then, by what was written; its lease is renewed for ever and not counted."""
    entries, offset = audited(state, offset)
    counted = collections.Counter()
    for entry in entries:
        about = entry.get("objectRef", {})
        if (entry["user"]["username"] == OPERATOR and about.get("resource") != "leases"
                and entry["verb"] in ("create", "update", "patch", "delete", "deletecollection")):
            counted[f"{entry['verb']} {about.get('resource')}/{about.get('subresource', '')} {about.get('name', '')}"] += 1
    return counted, offset


def test_no_writes_while_nothing_changes(space, state):
    """Twenty objects: at work, asleep, at their minimum, paused, on a clock. All poll every second."""
    space.load(25)
    cron = {"type": "cron", "metadata": {"timezone": "Etc/UTC", "start": "0 0 1 1 *", "end": "59 23 31 12 *",
                                         "desiredReplicas": "2"}}
    asleep = space.prometheus_trigger(query="vector(0)")
    for n in range(4):
        for kind in ("working", "asleep", "minimum", "paused", "clock"):
            space.workload(name=f"{kind}-{n}")
        space.scaled_object(f"working-{n}", f"working-{n}")
        space.scaled_object(f"asleep-{n}", f"asleep-{n}", triggers=[asleep])
        space.scaled_object(f"minimum-{n}", f"minimum-{n}", triggers=[asleep], minReplicaCount=2)
        space.scaled_object(f"paused-{n}", f"paused-{n}", annotations={"autoscaling.keda.sh/paused": "true"})
        space.scaled_object(f"clock-{n}", f"clock-{n}", triggers=[cron, asleep])
    for n in range(4):
        space.wait_replicas(3, seconds=60, name=f"working-{n}")
        space.wait_replicas(2, seconds=60, name=f"minimum-{n}")
        space.wait_condition("Ready", "True", name=f"asleep-{n}")
        space.wait_condition("Ready", "True", name=f"paused-{n}")

    # Conditions of the HPAs settle a round later, and lastActiveTime with the first activity.
    _, end = writes(state, 0)
    deadline = time.time() + 60
    while time.time() < deadline:
        time.sleep(8)
        recent, end = writes(state, end)
        if not recent:
            break
    time.sleep(SECONDS)
    counted, _ = writes(state, end)
    assert counted == {}, f"writes in {SECONDS} s while nothing changed"


def test_a_failing_source_is_no_stream_of_writes(space, state, proxy):
    """Told once in the condition; events about the same failure do not grow with every poll."""
    proxy.status(500)
    space.workload()
    space.load(5)
    space.scaled_object(triggers=[space.prometheus_trigger(server=proxy.url)])
    space.wait_condition("Ready", "False", "TriggerError")
    time.sleep(10)
    _, end = writes(state, 0)
    time.sleep(SECONDS)
    counted, _ = writes(state, end)
    events = sum(n for what, n in counted.items() if "events/" in what)
    others = {what: n for what, n in counted.items() if "events/" not in what}
    assert others == {}, "writes that are no events"
    assert events <= SECONDS / 10, f"{events} events in {SECONDS} s about one and the same failure"


def test_change_is_written_once(space, state):
    """One transition, and how many writes it costs."""
    space.workload()
    space.load(0)
    space.scaled_object(cooldownPeriod=3)
    space.wait_ready()
    space.wait_condition("Active", "False")
    time.sleep(8)
    _, end = writes(state, 0)
    space.load(5)
    space.wait_replicas(1)
    space.wait_condition("HPAActive", "True", "HPAActive", seconds=30)
    time.sleep(5)
    counted, _ = writes(state, end)
    scales = sum(n for what, n in counted.items() if "/scale" in what)
    statuses = sum(n for what, n in counted.items() if "scaledobjects/" in what)
    until("the event", lambda: space.events("KEDAScaleTargetActivated"))
    assert scales == 1, counted
    # Active with lastActiveTime, and the HPA's health in a round or two of its own.
    assert statuses <= 4, counted
