"""``python -m benchmarks [--quick] [NAME ...]``: run benchmarks and write their sections of RESULTS.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import (
    channels,
    epochs,
    int8,
    interaction,
    large,
    lottery,
    over_time,
    report,
    search,
    sensitivity,
    soak,
    startup,
    store_rate,
    studies,
    studies_page,
    surgery,
    sweep,
    teaching,
    user_zip,
)
from compression.registry import UserError


@dataclass(frozen=True)
class Benchmark:
    """A heading of RESULTS.md and what measures it; ``run(quick)`` with few repeats where quick is true."""

    title: str
    run: Callable[[bool], list[report.Row]]


BENCHMARKS = {
    "interaction": Benchmark("Interaction: slider release to every chart updated", interaction.rows),
    "sweep": Benchmark("Sweep: 40 points against a script from the READMEs", sweep.rows),
    "surgery": Benchmark("Surgery pays, zeros do not", surgery.rows),
    "large": Benchmark("A model of 25 million parameters", large.rows),
    "startup": Benchmark("`make run` to the first chart", startup.rows),
    "hinton": Benchmark("Distilling: Hinton's MNIST table", teaching.hinton),
    "temperature": Benchmark("Distilling: a 30-unit student at six temperatures", teaching.small),
    "photographs": Benchmark("Distilling: ResNet-20 into half its width, and a quarter", teaching.photographs),
    "epochs": Benchmark("Distilling: an epoch with the teacher's answers kept", epochs.rows),
    "softening": Benchmark("Interaction: temperature released to every chart updated", interaction.softening),
    "sensitivity": Benchmark("Sensitivity: every layer alone, prefixes replayed", sensitivity.rows),
    "channels": Benchmark("Pruning over time: ResNet-20 at half its MACs, by channels", channels.rows),
    "han": Benchmark("Pruning over time: Han 2015, twelve times fewer weights", over_time.han),
    "pushed": Benchmark("Pruning over time: Han's networks pushed until they break", over_time.pushed),
    "lottery": Benchmark("Pruning over time: lottery tickets of LeNet-300-100", lottery.rows),
    "schedules": Benchmark("Pruning over time: one shot, iterative, gradual on LeNet-5", over_time.schedules),
    "int8": Benchmark("int8 against float, on every sample model", int8.rows),
    "throughput": Benchmark("Studies: 64 trials on all cores, and again", studies.throughput),
    "search": Benchmark("Studies: a search against the whole grid", search.rows),
    "store_rate": Benchmark("Studies: rates of store, scheduler and samplers", store_rate.rows),
    "soak": Benchmark("Twenty people on the Prune page for ten minutes", soak.rows),
    "studies_page": Benchmark("Trade-offs with 2,000 trials", studies_page.rows),
    "user_zip": Benchmark("A user's zip: 60,000 photographs in the browser", user_zip.rows),
}


def main() -> int:
    """Run what was asked for, all where nothing was; a benchmark that breaks leaves the others be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="few repeats, and RESULTS.md stays as it is")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHMARKS):
        parser.error(f"unknown benchmark '{min(unknown)}'; choose from: {', '.join(BENCHMARKS)}")
    failed = [name for name in asked.names or BENCHMARKS if not _run(name, asked.quick)]
    return 1 if failed else 0


def _run(name: str, quick: bool) -> bool:
    benchmark, load = BENCHMARKS[name], report.load_average()
    print(f"{name}: {benchmark.title}", flush=True)
    try:
        rows = benchmark.run(quick)
    except (UserError, RuntimeError) as fault:
        print(f"  {name} broke off: {fault}", file=sys.stderr, flush=True)
        return False
    print(report.table(rows), flush=True)
    if not quick:
        old = report.RESULTS.read_text() if report.RESULTS.is_file() else ""
        new = {benchmark.title: report.section(benchmark.title, rows, load)}
        report.RESULTS.write_text(report.merged(old, new, [each.title for each in BENCHMARKS.values()]))
    return True


if __name__ == "__main__":
    sys.exit(main())
