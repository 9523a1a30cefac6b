//! The catalogue page of `latency`.

use super::super::{Entry, Parameter};

pub(super) static ENTRY: Entry = Entry {
    name: "latency",
    summary: "Delays requests, or holds responses back.",
    effect: "The latency of treated requests grows by the delay. A delay is the quantile of its distribution at \
             the request's draw u: fixed d; uniform min + u·(max − min); normal mean + sd·z(u), never below 0; \
             lognormal median·exp(σ·z(u)) with σ = ln(p99 / median) / z(0.99); Pareto scale·(1 − u)^(−1/shape), \
             where p50 and p99 mean shape = ln 50 / ln(p99 / p50); z is the standard normal quantile. \
             `percentiles` meets each of its points exactly: between two, ln(delay) is a straight line over z \
             (a piece of a lognormal), and beyond the outermost the outermost pieces go on, but not below `p0` \
             or above `p100` where these are given. A `trace` gives its delay number ⌊n·u⌋, or the next one. \
             Per kibibyte, row or token the delay is in proportion (tokens: ⌈characters / 4⌉). No delay is \
             longer than 1 h. Timers tick in milliseconds: a delay is 1 to 2 ms longer than asked for. A ramp \
             scales the delay.",
    parameters: &[
        Parameter {
            name: "fixed",
            values: "span of time, above 0s",
            default: "—",
            meaning: "the same delay each time",
        },
        Parameter {
            name: "uniform",
            values: "{ min, max }, spans with min below max",
            default: "—",
            meaning: "any delay between the two, all alike",
        },
        Parameter {
            name: "normal",
            values: "{ mean, sd }, spans with sd at most a third of mean",
            default: "—",
            meaning: "normally distributed delays",
        },
        Parameter {
            name: "lognormal",
            values: "{ median, p99 }, spans with median above 0s and below p99",
            default: "—",
            meaning: "lognormal delays, the shape of most real latencies",
        },
        Parameter {
            name: "pareto",
            values: "{ scale, shape } or { p50, p99 }; shape 0.2 to 100",
            default: "—",
            meaning: "a power law: few delays, and those very long",
        },
        Parameter {
            name: "percentiles",
            values: "{ p50: 80ms, p99: 900ms, p99.9: 4s }: 2 to 32 spans that rise",
            default: "—",
            meaning: "delays with exactly these percentiles; `p0` and `p100` are bounds",
        },
        Parameter {
            name: "trace",
            values: "{ file, column, unit: us | ms | s } or { delays }, and order: drawn | recorded; at most 10000 delays",
            default: "—",
            meaning: "recorded delays, drawn from at random or replayed in their order; a file is read when the \
                      scenario is checked and travels with it",
        },
        Parameter {
            name: "per",
            values: "{ kibibyte: span }, { row: span } or { token: span }",
            default: "—",
            meaning: "in proportion to the bytes of the request, the predictions of the answer or the tokens of \
                      its text; the last two come after the upstream",
        },
        Parameter {
            name: "rate",
            values: "share, 0% to 100%",
            default: "100%",
            meaning: "how often it acts on what the treated get",
        },
        Parameter {
            name: "when",
            values: "before | after",
            default: "before",
            meaning: "before the upstream is asked, or when it has answered",
        },
    ],
    example: "- fault: { latency: { percentiles: { p50: 80ms, p99: 900ms, p99.9: 4s } } }\n\
              - fault: { latency: { lognormal: { median: 200ms, p99: 900ms }, rate: 50% } }",
    seen_by: "Latency quantiles (p95, p99) of the caller or the gateway, time-outs, service-level burn rates.",
    blind: "The model server's own latency metrics, when canard stands in front of it; means and medians, when \
            the treated share is small; anything about predictions.",
};
