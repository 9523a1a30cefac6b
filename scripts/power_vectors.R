#!/usr/bin/env Rscript
# Writes tests/vectors/power.json: power and sizes of src/stats/power.rs, computed by R.
#
#   apt-get install r-base-core r-cran-pwr r-cran-jsonlite
#   Rscript scripts/power_vectors.R > tests/vectors/power.json
#
# R rounds in one place: it solves for n to .Machine$double.eps^0.25 (about 1e-4), so that its n is off in the seventh
# digit or sooner. Its own argument `tol` makes it exact to 1e-12 here. pwr.chisq.test has no such argument: sizes of
# mixes are given, not solved.
suppressMessages({
  library(jsonlite)
  library(pwr)
})
one <- unbox
side <- function(one_sided) if (one_sided) "one.sided" else "two.sided"

shares <- c(
  Map(function(n, p1, p2, alpha, one_sided) {
    found <- power.prop.test(n = n, p1 = p1, p2 = p2, sig.level = alpha, alternative = side(one_sided))
    list(p = c(p1, p2), alpha = one(alpha), one_sided = one(one_sided), n = c(n, n), power = one(found$power), solved = one(FALSE))
  }, c(50, 200, 2000), c(0.5, 0.9, 0.001), c(0.75, 0.85, 0.01), c(0.05, 0.01, 0.05), c(FALSE, TRUE, FALSE)),
  Map(function(p1, p2, alpha, power, one_sided) {
    n <- power.prop.test(p1 = p1, p2 = p2, sig.level = alpha, power = power, alternative = side(one_sided), tol = 1e-12)$n
    list(p = c(p1, p2), alpha = one(alpha), one_sided = one(one_sided), n = c(n, n), power = one(power), solved = one(TRUE))
  }, c(0.5, 0.9, 0, 0.3, 0.05), c(0.75, 0.88, 0.02, 0.31, 0.2), c(0.05, 0.05, 0.05, 0.01, 0.001), c(0.9, 0.9, 0.8, 0.95, 0.9), c(FALSE, TRUE, FALSE, FALSE, TRUE))
)

means <- c(
  Map(function(difference, deviation, alpha, power, one_sided) {
    n <- power.t.test(delta = difference, sd = deviation, sig.level = alpha, power = power, alternative = side(one_sided), tol = 1e-12)$n
    list(difference = one(difference), deviation = one(deviation), alpha = one(alpha), one_sided = one(one_sided), n = c(n, n), power = one(power), solved = one(TRUE))
  }, c(1, 0.05, 2, 0.5, 0.01), c(1, 0.2, 1, 1.2, 0.4), c(0.05, 0.05, 0.05, 0.01, 0.05), c(0.9, 0.8, 0.9, 0.95, 0.9), c(FALSE, FALSE, TRUE, TRUE, FALSE)),
  Map(function(n, m, difference, alpha, one_sided) {
    found <- pwr.t2n.test(n1 = n, n2 = m, d = difference, sig.level = alpha, alternative = "greater")
    if (!one_sided) found <- list(power = pt(qt(alpha / 2, n + m - 2, lower.tail = FALSE), n + m - 2, difference / sqrt(1 / n + 1 / m), lower.tail = FALSE))
    list(difference = one(difference), deviation = one(1), alpha = one(alpha), one_sided = one(one_sided), n = c(n, m), power = one(found$power), solved = one(FALSE))
  }, c(20, 900, 50, 300000), c(60, 100, 50, 250000), c(0.7, 0.3, 0.4, 0.01), c(0.05, 0.05, 0.01, 0.05), c(TRUE, FALSE, TRUE, FALSE))
)

mixes <- Map(function(first, second, n, m, alpha) {
  part <- n / (n + m)
  cells <- rbind(part * first, (1 - part) * second)
  # ES.w2 wants cells that add up to 1 and gives Cohen's w.
  power <- pwr.chisq.test(w = ES.w2(cells), N = n + m, df = length(first) - 1, sig.level = alpha)$power
  list(first = first, second = second, n = c(n, m), alpha = one(alpha), power = one(power), solved = one(FALSE))
}, list(c(0.5, 0.5), c(0.3, 0.3, 0.4), rep(0.1, 10), c(0.2, 0.8)), list(c(0.6, 0.4), c(0.35, 0.3, 0.35), c(rep(0.12, 5), rep(0.08, 5)), c(0.21, 0.79)), c(100, 400, 300, 20000), c(100, 100, 900, 5000), c(0.05, 0.01, 0.05, 0.05))

cat(toJSON(list(made_by = one(paste0(R.version.string, ", pwr ", packageVersion("pwr"))), shares = shares, means = means, mixes = mixes), digits = NA), "\n")
