"""The autoscalers whose every sync is recorded: their specs, what their metrics answer over time, and what befalls them.

Times are seconds since the recording began. The controller looks once a second; windows and periods are short, so that
a minute shows what a real cluster shows in a quarter of an hour.
"""

import random
from dataclasses import dataclass, field

SECONDS = 60


@dataclass(frozen=True)
class Broken:
    """An answer that is an error."""

    code: int
    reason: str
    message: str


DOWN = Broken(500, "InternalError", "source is down")
UNKNOWN = Broken(404, "NotFound", "there is no such metric")
NOTHING: list[str] = []


@dataclass(frozen=True)
class Metric:
    target: dict
    """`averageValue` or `value`."""
    series: list[tuple]
    """(from when, values of the items or why there are none), in order."""
    labels: dict | None = None

    def at(self, seconds: float):
        return [answer for start, answer in self.series if start <= max(seconds, 0)][-1]


@dataclass(frozen=True)
class Case:
    name: str
    metrics: list[Metric]
    min: int | None = 1
    max: int = 10
    behavior: dict | None = None
    replicas: int = 1
    """Of the target, at first."""
    ready: int | None = None
    """Every so manieth pod becomes ready; None: none does."""
    kind: str = "Deployment"
    actions: list[tuple] = field(default_factory=list)
    """(when, `scale`, replicas) or (when, `spec`, merge patch): what somebody else does."""


def average(target: str, *series, labels=None) -> Metric:
    return Metric({"averageValue": target}, _series(series), labels)


def value(target: str, *series, labels=None) -> Metric:
    return Metric({"value": target}, _series(series), labels)


def _series(given) -> list[tuple]:
    """One text stands for one item; a single list of pairs is taken as it is."""
    pairs = given[0] if len(given) == 1 and isinstance(given[0], list) else list(given)
    return [(start, [answer] if isinstance(answer, str) else answer) for start, answer in pairs]


def walk(seed: int, low: int, high: int, every: float = 3, broken: float = 0) -> list[tuple]:
    """A value that jumps, with a share of failures; always the same for a seed."""
    rng = random.Random(seed)
    series, when = [(0, str(rng.randint(low, high)))], 0.0
    while when < SECONDS:
        when += rng.uniform(every / 2, every * 1.5)
        if rng.random() < broken:
            series.append((when, rng.choice([DOWN, UNKNOWN, NOTHING])))
        else:
            series.append((when, rng.choice([str(rng.randint(low, high)), f"{rng.randint(low * 1000, high * 1000)}m"])))
    return series


def rules(window: int | None = None, *policies: tuple, select: str | None = None, tolerance: str | None = None) -> dict:
    """One direction of a behavior; a policy is (type, value, period)."""
    out: dict = {}
    if window is not None:
        out["stabilizationWindowSeconds"] = window
    if policies:
        out["policies"] = [dict(zip(("type", "value", "periodSeconds"), policy)) for policy in policies]
    if select:
        out["selectPolicy"] = select
    if tolerance is not None:
        out["tolerance"] = tolerance
    return out


def _any(seed: int) -> Case:
    """Any behavior on any series."""
    rng = random.Random(seed)

    def direction() -> dict:
        policies = [(rng.choice(["Pods", "Percent"]), rng.choice([1, 2, 3, 10, 50, 100, 150]), rng.randint(1, 12))
                    for _ in range(rng.randint(1, 3))]
        return rules(rng.choice([0, 0, 2, 3, 5, 9]), *policies, select=rng.choice(["Max", "Min", None, None]),
                     tolerance=rng.choice([None, "0", "0.05", "0.3"]))

    behavior = {key: direction() for key in ("scaleUp", "scaleDown") if rng.random() < 0.9}
    make = rng.choice([average, value])
    metrics = [make(str(rng.randint(2, 9)), walk(seed * 10 + n, 0, 60, rng.choice([2, 4]), rng.choice([0, 0.1])))
               for n in range(rng.randint(1, 2))]
    return Case(f"any-{seed}", metrics, min=rng.choice([None, 1, 2]), max=rng.choice([8, 15]), behavior=behavior,
                replicas=rng.randint(1, 6), ready=rng.choice([1, 1, 2]))


AT_ONCE = {"scaleUp": rules(0, ("Pods", 100, 1)), "scaleDown": rules(0, ("Percent", 100, 1))}

CASES = [
    # Without a behavior: double or four, and the controller's window.
    Case("plain", [average("5", walk(1, 0, 60))]),
    Case("plain-wide", [average("1", (0, "1"), (6, "50"), (12, "20"), (14, "50"), (30, "3"))], max=40),
    Case("plain-value", [value("10", walk(2, 0, 40, 4))], ready=1),
    Case("plain-half-ready", [value("10", (0, "10"), (5, "25"), (20, "11"), (25, "9.1"), (30, "30"), (45, "2"))],
         replicas=4, ready=2),
    # Tolerance, on its edges.
    Case("tolerance", [average("10", (0, "40"), (5, "44"), (9, "44.001"), (14, "45"), (19, "45.1"), (24, "49.6"),
                               (29, "45"), (34, "44.9"), (39, "36"), (44, "35.999"))], replicas=4),
    Case("tolerance-value", [value("10", (0, "11"), (5, "11.001"), (14, "9"), (30, "8.999"))], replicas=3, ready=1),
    Case("tolerance-own", [average("10", (0, "40"), (4, "60"), (9, "60.1"), (15, "69.9"), (20, "63"), (26, "40"))],
         replicas=4, behavior={"scaleUp": rules(0, tolerance="0.5"), "scaleDown": rules(0, tolerance="0")}),
    Case("tolerance-none", [value("10", (0, "10"), (5, "10.001"), (12, "9.999"), (20, "10"))], replicas=3, ready=1,
         behavior={"scaleUp": rules(0, tolerance="0"), "scaleDown": rules(3, tolerance="0")}),
    # Several metrics, and such that fail.
    Case("two", [average("5", walk(3, 0, 40)), average("3", walk(4, 0, 30))], behavior=AT_ONCE),
    Case("three", [value("5", walk(5, 0, 20, 4)), average("3", walk(6, 0, 30, 4, 0.3)), average("7", walk(7, 0, 50))],
         behavior=AT_ONCE, ready=1),
    Case("failing", [average("5", (0, "20"), (8, DOWN), (16, "10"), (24, UNKNOWN), (32, "30"), (40, NOTHING),
                             (48, "5"))], behavior=AT_ONCE),
    Case("failing-beside", [average("5", (0, "20"), (10, DOWN), (30, "10"), (40, NOTHING)),
                            average("5", (0, "10"), (15, "40"), (22, "5"), (44, "30"))], behavior=AT_ONCE),
    Case("series", [average("5", (0, ["1", "2", "500m"]), (10, ["10", "10", "10"]), (25, ["0", "3"])),
                    value("100", (0, ["60", "60"]), (20, ["250", "50"]), (30, ["20"]), labels={"app": "web"})],
         behavior=AT_ONCE, ready=1),
    Case("fractions", [average("333m", walk(8, 0, 4, 2))], max=15, behavior=AT_ONCE),
    Case("negative", [value("5", (0, "10"), (8, "-3"), (16, "20"), (24, "-50"), (32, "5"))], replicas=2, ready=1,
         behavior=AT_ONCE),
    Case("negative-first", [value("5", (0, "-10"), (20, "-1")), value("5", (0, "-3"), (10, DOWN), (30, "12"))], ready=1,
         behavior=AT_ONCE),
    # Bounds, and who changes replicas or bounds by hand.
    Case("above", [average("5", (0, "30"))], max=5, replicas=9,
         actions=[(20, "scale", 7), (40, "spec", {"spec": {"maxReplicas": 3}})], behavior=AT_ONCE),
    Case("below", [average("5", (0, "1"))], min=3, replicas=1,
         actions=[(20, "scale", 2), (40, "spec", {"spec": {"minReplicas": 6}})]),
    Case("disabled", [average("5", (0, "20"))], actions=[(10, "scale", 0), (30, "scale", 2)], behavior=AT_ONCE),
    # Zero.
    Case("zero", [average("5", (0, "10"), (8, "0"), (20, "12"), (35, "0"), (50, DOWN), (58, "1"))], min=0,
         behavior=AT_ONCE),
    Case("zero-by-hand", [average("5", (0, "10"))], min=0, actions=[(10, "scale", 0), (25, "scale", 1)],
         behavior=AT_ONCE),
    Case("zero-raised", [average("5", (0, "10"), (8, "0"))], min=0, behavior=AT_ONCE,
         actions=[(30, "spec", {"spec": {"minReplicas": 2}})]),
    Case("zero-value", [value("5", (0, "10"), (8, "0"), (20, "12"), (35, "0"), (46, "-7")),
                        value("5", (0, "-5"), (41, DOWN))],
         min=0, ready=1, behavior=AT_ONCE),
    Case("zero-plain", [average("5", (0, "10"), (6, "0"), (30, "30"))], min=0),
    # Windows.
    Case("window-up", [average("5", (0, "5"), (5, "40"), (7, "5"), (12, "40"), (22, "45"), (28, "10"))],
         behavior={"scaleUp": rules(5), "scaleDown": rules(0)}),
    Case("window-down", [average("5", (0, "40"), (6, "5"), (9, "30"), (11, "5"), (25, "25"), (27, "10"))],
         behavior={"scaleUp": rules(0), "scaleDown": rules(6)}),
    Case("window-both", [average("5", walk(9, 0, 60, 2))], max=15,
         behavior={"scaleUp": rules(3), "scaleDown": rules(7)}),
    # While nothing is proposed all that was proposed gets too old, and a window that then becomes longer finds it.
    Case("window-changed", [average("5", (0, "50"), (8, DOWN), (18, "5"))],
         behavior={"scaleUp": rules(0), "scaleDown": rules(4)},
         actions=[(18.6, "spec", {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}}),
                  (20, "scale", 8)]),
    # Policies.
    Case("pods", [average("1", (0, "1"), (4, "30"), (30, "2"))], max=20,
         behavior={"scaleUp": rules(0, ("Pods", 2, 4)), "scaleDown": rules(0, ("Pods", 1, 3))}),
    Case("percent", [average("1", (0, "2"), (4, "30"), (32, "1"))], max=20, replicas=2,
         behavior={"scaleUp": rules(0, ("Percent", 50, 5)), "scaleDown": rules(0, ("Percent", 30, 4))}),
    Case("percent-small", [average("1", (0, "20"), (35, "1"))], max=12,
         behavior={"scaleUp": rules(0, ("Percent", 10, 2)), "scaleDown": rules(0, ("Percent", 10, 2))}),
    Case("policies-max", [average("1", walk(10, 0, 25, 8))], max=20,
         behavior={"scaleUp": rules(0, ("Pods", 1, 2), ("Percent", 60, 6), select="Max"),
                   "scaleDown": rules(0, ("Pods", 2, 3), ("Percent", 20, 5), select="Max")}),
    Case("policies-min", [average("1", walk(10, 0, 25, 8))], max=20,
         behavior={"scaleUp": rules(0, ("Pods", 1, 2), ("Percent", 60, 6), select="Min"),
                   "scaleDown": rules(0, ("Pods", 2, 3), ("Percent", 20, 5), select="Min")}),
    Case("up-disabled", [average("5", (0, "20"), (15, "5"), (25, "30"))], replicas=5,
         behavior={"scaleUp": rules(select="Disabled"), "scaleDown": rules(2)}),
    Case("down-disabled", [average("5", (0, "5"), (10, "20"), (20, "5"))],
         behavior={"scaleDown": rules(select="Disabled")}),
    Case("pods-most", [average("1", (0, "1"), (5, "12"))], replicas=2,
         behavior={"scaleUp": rules(0, ("Pods", 2147483647, 5)), "scaleDown": rules(0, ("Pods", 2147483647, 5))}),
    # Changes count over the other direction's period too: of three that are too old for their own, one gives way.
    Case("periods-differ", [average("1", (0, "1"), (4, "3"), (6.5, "5"), (9, "6"), (22, "8"), (27, "1"))],
         behavior={"scaleUp": rules(0, ("Pods", 10, 8)), "scaleDown": rules(0, ("Pods", 1, 30))}),
    Case("periods-differ-down", [average("1", (0, "10"), (4, "8"), (6.5, "6"), (9, "5"), (22, "3"), (27, "12"))],
         max=12, replicas=10, behavior={"scaleUp": rules(0, ("Pods", 1, 30)), "scaleDown": rules(0, ("Pods", 10, 8))}),
    # What the API server fills in.
    Case("filled-in", [average("2", (0, "40"), (20, "4"))], max=12, behavior={"scaleUp": rules(3)}),
    # Nobody makes pods for this one.
    Case("no-pods", [value("5", (0, "5"), (10, "20"), (40, "5"))], kind="StatefulSet", replicas=2, behavior=AT_ONCE),
    Case("no-pods-average", [average("5", (0, "0"), (10, "20"), (30, "1"))], kind="StatefulSet", replicas=2),
    *[_any(seed) for seed in range(1, 7)],
]
