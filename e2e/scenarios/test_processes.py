"""Processes die, leave and come back. These scenarios run by themselves, one after the other."""

import time

import pytest

from harness import controlplane, keda
from harness.cluster import Refused, until

pytestmark = pytest.mark.alone


@pytest.fixture(autouse=True)
def processes(state):
    """Whatever a scenario did, the next one finds operator a and the adapter running."""
    yield
    if not state.running("apiserver"):
        controlplane.start_apiserver(state)
    if not state.running("operator-a"):
        keda.start_operator(state)
    if state.running("operator-b"):
        keda.stop_operator(state, "b")
    if not state.running("adapter"):
        keda.start_adapter(state)
    until("an aggregated API", lambda: keda.aggregated(state), 60)


def holder(space) -> str | None:
    """Who leads, as the lease says."""
    leases = [s.object for s in leases_of(space) if s.object["metadata"]["name"] == "operator.keda.sh"]
    return leases[-1]["spec"].get("holderIdentity") if leases else None


def leases_of(space):
    from harness.cluster import Record

    record = getattr(space, "lease_record", None)
    if record is None:
        record = space.lease_record = Record(space.state, "keda")
    return record.history("leases")


def _run_at_three(space):
    space.workload()
    space.load(25)
    space.scaled_object(minReplicaCount=0)
    space.wait_replicas(3, seconds=40)


def test_operator_killed(space, state):
    """kill -9 while the HPA works: it goes on being answered; the next operator takes over when the lease has run out."""
    _run_at_three(space)
    before = space.status()
    killed = time.time()
    keda.kill_operator(state)
    # The adapter answers from the last good sample: nobody scales while nobody is there.
    assert space.raw_metric("s0-prometheus", "app")["items"][0]["value"] == "25"
    space.load(0)
    space.steady(8)
    keda.start_operator(state)
    assert space.wait_replicas(0, seconds=60) > killed
    space.note_time("operator killed until its successor scaled to zero (lease 15 s, cooldown 5 s)", time.time() - killed)
    after = space.replica_history(since=killed)
    assert (after[0], max(after), after[-1]) == (3, 3, 0), f"not on the way down: {after}"
    assert space.status()["originalReplicaCount"] == before["originalReplicaCount"]
    space.load(25)
    space.wait_replicas(3, seconds=40)


def test_operator_killed_before_a_change(space, state):
    """A ScaledObject that is changed, and one that is deleted, while no operator runs."""
    _run_at_three(space)
    space.workload(name="other", replicas=1)
    space.scaled_object(name="other", target="other", advanced={"restoreToOriginalReplicaCount": True})
    space.wait_replicas(3, seconds=40, name="other")
    keda.kill_operator(state)
    space.patch("scaledobject", "app", {"spec": {"maxReplicaCount": 2}})
    space.kubectl("delete", "scaledobject", "other", "--wait=false")
    space.steady(3)
    keda.start_operator(state)
    space.wait_replicas(2, seconds=60)
    space.wait_replicas(1, seconds=10, name="other")
    until("the deleted one gone", lambda: space.record.latest("scaledobjects", "other") is None)


def test_two_operators(space, state):
    """One leads. It leaves, and the other leads within three seconds; nothing is done twice."""
    _run_at_three(space)
    keda.start_operator(state, "b")
    first = until("a leader", lambda: holder(space))
    time.sleep(3)
    assert holder(space) == first, "a second operator took the lease from a living first"

    left = time.time()
    took = keda.stop_operator(state, "a")
    until("the lease in other hands", lambda: holder(space) not in (None, "", first), 15)
    change = next(s for s in leases_of(space)
                  if s.t >= left and s.object["spec"].get("holderIdentity") not in (None, "", first))
    handover = change.t - left
    space.note_time("leader asked to leave until the other holds the lease", handover)
    space.note_time("leader asked to leave until its process was gone", took)
    assert handover < 3, f"the hand-over took {handover:.1f} s"

    # The new leader works: metrics, scaling by the HPA, and by the operator.
    space.load(45)
    space.wait_replicas(5, seconds=40)
    space.load(0)
    space.wait_replicas(0, seconds=30)
    space.wait_event("KEDAScaleTargetDeactivated")
    time.sleep(1)
    assert len(space.events("KEDAScaleTargetDeactivated")) == 1, "it was done twice"

    # And back.
    keda.start_operator(state, "a")
    second = holder(space)
    left = time.time()
    keda.stop_operator(state, "b")
    until("the lease back", lambda: holder(space) not in (None, "", second), 15)
    change = next(s for s in leases_of(space)
                  if s.t >= left and s.object["spec"].get("holderIdentity") not in (None, "", second))
    assert change.t - left < 3
    began = time.time()
    space.load(5)
    space.wait_replicas(1, seconds=10)
    assert time.time() - began < 8


def test_adapter_restarted(space, state):
    """The HPA gets no answer for a while: it does not scale, and goes on when the adapter is back."""
    _run_at_three(space)
    state.stop("adapter")
    until("the API server to notice", lambda: not keda.aggregated(state), 60)
    space.load(45)
    space.steady(6)
    began = time.time()
    keda.start_adapter(state)
    space.note_time("adapter started until ready", time.time() - began)
    until("an aggregated API", lambda: keda.aggregated(state), 60)
    space.wait_replicas(5, seconds=60)
    space.load(0)
    space.wait_replicas(0, seconds=40)


def test_adapter_is_ready_only_when_its_path_works(space, state):
    """Started without an operator it is alive and not ready; then it is."""
    _run_at_three(space)
    keda.kill_operator(state)
    state.stop("adapter")
    keda.start_adapter(state, wait=False)
    time.sleep(3)

    def ready():
        try:
            return keda.adapter_ready(state)
        except OSError:
            return False
    assert state.running("adapter") and not ready(), "the adapter says it is ready, but nobody can answer"
    keda.start_operator(state)
    until("the adapter's readiness", ready, 60)
    space.load(45)
    space.wait_replicas(5, seconds=60)


def test_api_server_restarted(space, state):
    """Every watch and every connection breaks; all of it goes on by itself, within the lease."""
    _run_at_three(space)
    operator, adapter = state.pid("operator-a"), state.pid("adapter")
    stopped = time.time()
    state.kill("apiserver")
    space.load(45)
    controlplane.start_apiserver(state)
    back = time.time()
    space.note_time("API server away", back - stopped)
    space.wait_replicas(5, seconds=90)
    space.note_time("API server back until the HPA scaled", time.time() - back)
    # A new object is seen, and so is the end of the load.
    space.workload(name="later")
    space.scaled_object(name="later", target="later")
    space.wait_replicas(1, seconds=30, name="later")
    space.load(0)
    space.wait_replicas(0, seconds=40)
    assert (state.pid("operator-a"), state.pid("adapter")) == (operator, adapter), "a process ended over it"
    during = space.replica_history(since=stopped)
    assert min(during[:during.index(5)]) == 3, f"scaled in while the API server was away: {during}"


def test_api_server_away_beyond_the_lease(space, state):
    """Longer away than the lease lasts: the leader gives up, is restarted as a kubelet would, and scales again."""
    _run_at_three(space)
    stopped = time.time()
    state.kill("apiserver")
    time.sleep(20)
    controlplane.start_apiserver(state)
    # kube-controller-manager without a lease of its own goes on with old caches for a minute: as good as restarted.
    state.stop("controller-manager")
    controlplane.start_controller_manager(state)
    space.load(45)
    if not state.running("operator-a"):
        keda.start_operator(state)
    space.wait_replicas(5, seconds=90)
    during = space.replica_history(since=stopped)
    assert min(during[:during.index(5)]) == 3, f"scaled in while the API server was away: {during}"


def test_unknown_object_while_the_operator_is_away(space, state):
    """Nobody knows a value: that is an error, never an empty success."""
    space.workload()
    space.load(5)
    keda.kill_operator(state)
    space.scaled_object()
    with pytest.raises(Refused):
        space.raw_metric("s0-prometheus", "app")
    keda.start_operator(state)
    space.wait_replicas(1, seconds=60)
