#!/usr/bin/env Rscript
# Writes tests/vectors/stats.json: intervals and tests of src/stats, computed by R and its packages.
#
#   apt-get install r-base-core r-cran-survival r-cran-proc r-cran-jsonlite
#   Rscript scripts/stats_vectors.R > tests/vectors/stats.json
#
# Where R has no function of its own (Tango's interval, the noncentrality's) the definition is solved here by other
# means than in src/stats: the constrained likelihood is maximised numerically, roots are found by uniroot.

suppressMessages({
  library(survival)
  library(pROC)
  library(jsonlite)
})
set.seed(20261123)
tiny <- 1e-13
one <- unbox

survival_case <- function(times, events, level) {
  fit <- survfit(Surv(times, events) ~ 1, conf.type = "log-log", conf.int = level)
  at <- fit$n.event > 0
  quantiles <- lapply(c(0.25, 0.5, 0.9), function(q) {
    found <- quantile(fit, q)
    list(q = one(q), estimate = one(unname(found$quantile)), low = one(unname(found$lower)), high = one(unname(found$upper)))
  })
  list(
    times = times, events = as.logical(events), level = one(level),
    steps = data.frame(
      time = fit$time[at], at_risk = fit$n.risk[at], events = fit$n.event[at], survival = fit$surv[at],
      variance = ifelse(fit$surv[at] > 0, (fit$surv[at] * fit$std.err[at])^2, 0), low = fit$lower[at], high = fit$upper[at]
    ),
    quantiles = quantiles
  )
}
random_survival <- function(n, censored, rounded, level) {
  events <- round(rexp(n, 1 / 20), rounded)
  ends <- round(runif(n, 0, censored), rounded)
  survival_case(pmin(events, ends), as.integer(events <= ends), level)
}
survival <- c(
  # Leukaemia remission, 6-MP (Freireich and others, Blood 21, 1963).
  list(survival_case(
    c(6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35),
    c(1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0), 0.95
  )),
  list(survival_case(c(3, 5, 6, 9), c(1, 1, 0, 1), 0.95)),
  list(survival_case(c(1, 2, 3, 4, 5, 6), rep(1, 6), 0.9)),
  Map(random_survival, c(8, 20, 40, 60), c(30, 60, 100, 25), c(1, 0, 3, 1), c(0.95, 0.9, 0.95, 0.99))
)

chi_case <- function(first, second) {
  test <- suppressWarnings(chisq.test(rbind(first, second), correct = FALSE))
  list(first = first, second = second, statistic = one(unname(test$statistic)), freedom = one(unname(test$parameter)), p = one(test$p.value))
}
chi <- list(
  chi_case(c(30, 50, 20), c(45, 35, 20)), chi_case(c(500, 300, 200), c(480, 330, 190)), chi_case(c(12, 9), c(5, 20)),
  chi_case(c(1000, 2000, 3000, 400), c(900, 2300, 2900, 700)), chi_case(rpois(20, 40), rpois(20, 55))
)

smirnov_case <- function(first, second) {
  values <- function(counts) rep(seq_along(counts), counts)
  test <- suppressWarnings(ks.test(values(first), values(second), exact = FALSE))
  list(first = first, second = second, statistic = one(unname(test$statistic)), p = one(test$p.value))
}
smirnov <- list(
  smirnov_case(c(40, 40, 20), c(20, 40, 40)), smirnov_case(c(100, 100, 100, 100), c(110, 90, 120, 80)),
  smirnov_case(rpois(20, 30), rpois(20, 50)), smirnov_case(c(10, 0, 0), c(0, 0, 12)), smirnov_case(rpois(20, 300), rpois(20, 290))
)

shares <- Map(function(hits, n, level) {
  found <- binom.test(hits, n, conf.level = level)$conf.int
  list(hits = one(hits), n = one(n), level = one(level), low = one(found[1]), high = one(found[2]))
}, c(0, 1, 8, 20, 199, 3, 50000, 5), c(20, 20, 20, 20, 200, 1000, 1000000, 5), c(0.95, 0.95, 0.95, 0.95, 0.9, 0.99, 0.95, 0.8))
rates <- Map(function(events, exposure, level) {
  found <- poisson.test(events, exposure, conf.level = level)$conf.int
  list(events = one(events), exposure = one(exposure), level = one(level), low = one(found[1]), high = one(found[2]))
}, c(0, 1, 7, 120, 10000), c(4, 2.5, 0.5, 30, 12), c(0.95, 0.95, 0.9, 0.99, 0.95))

logs <- Map(function(n, m, ratio, level) {
  first <- rlnorm(n, 0, 0.8)
  second <- rlnorm(m, log(ratio), 1.1)
  found <- exp(t.test(log(second), log(first), conf.level = level)$conf.int)
  list(
    first = c(mean(log(first)), var(log(first)), n), second = c(mean(log(second)), var(log(second)), m), level = one(level),
    estimate = one(exp(mean(log(second)) - mean(log(first)))), low = one(found[1]), high = one(found[2])
  )
}, c(5, 30, 400), c(7, 12, 900), c(1, 2, 1.2), c(0.95, 0.9, 0.99))

# Tango's score, the nuisance share found by maximising the likelihood of the pairs with the difference held.
tango_score <- function(b, c, n, difference) {
  same <- n - b - c
  likelihood <- function(q) {
    p <- q + difference
    part <- function(count, share) if (count == 0) 0 else if (share <= 0) -1e300 else count * log(share)
    part(b, p) + part(c, q) + part(same, 1 - p - q)
  }
  from <- max(0, -difference)
  to <- (1 - difference) / 2
  # The slope is monotone; its root is sharper than the top of the likelihood.
  slope <- function(q) {
    p <- q + difference
    part <- function(count, share) if (count == 0) 0 else count / share
    part(b, p) + part(c, q) - 2 * part(same, 1 - p - q)
  }
  inner <- 1e-14 * (to - from)
  q <- if (slope(from + inner) <= 0) from else if (slope(to - inner) >= 0) to else
    uniroot(slope, c(from + inner, to - inner), tol = 1e-16, maxiter = 10000)$root
  (b - c - n * difference) / sqrt(n * (2 * q + difference * (1 - difference)))
}
paired_case <- function(both, first, second, neither, level) {
  n <- both + first + second + neither
  test <- mcnemar.test(matrix(c(both, first, second, neither), 2), correct = FALSE)
  z <- qnorm(0.5 + level / 2)
  estimate <- (second - first) / n
  end <- function(target, from, to) uniroot(function(d) tango_score(second, first, n, d) - target, c(from, to), tol = tiny, maxiter = 10000)$root
  list(
    both = one(both), first = one(first), second = one(second), neither = one(neither), level = one(level),
    statistic = one(unname(test$statistic)), p = one(test$p.value), estimate = one(estimate),
    low = one(end(z, -1 + 1e-9, estimate - 1e-12)), high = one(end(-z, estimate + 1e-12, 1 - 1e-9))
  )
}
paired <- Map(paired_case, c(30, 7, 300, 0, 900), c(12, 1, 20, 5, 3), c(5, 3, 60, 0, 0), c(53, 10, 120, 25, 97), c(0.95, 0.95, 0.9, 0.95, 0.99))
paired_means <- Map(function(n, level) {
  differences <- rnorm(n, 0.3)
  found <- t.test(differences, conf.level = level)$conf.int
  list(n = one(n), sum = one(sum(differences)), sum_of_squares = one(sum(differences^2)), level = one(level), low = one(found[1]), high = one(found[2]))
}, c(2, 9, 500), c(0.95, 0.9, 0.99))

roc_case <- function(negatives, positives, level) {
  values <- function(counts) rep(seq_along(counts), counts)
  curve <- roc(controls = values(negatives), cases = values(positives), direction = "<", quiet = TRUE)
  area <- as.numeric(auc(curve))
  reach <- qnorm(0.5 + level / 2) * sqrt(var(curve, method = "delong")) / (area * (1 - area))
  list(negatives = negatives, positives = positives, level = one(level), estimate = one(area), low = one(plogis(qlogis(area) - reach)), high = one(plogis(qlogis(area) + reach)))
}
roc_cases <- list(
  roc_case(c(40, 30, 20, 10), c(10, 20, 30, 40), 0.95), roc_case(c(50, 3, 0, 0), c(0, 1, 2, 30), 0.95),
  roc_case(rpois(20, 20), rpois(20, 20), 0.9), roc_case(rpois(20, 20:1), rpois(20, 1:20), 0.99)
)

# Equal sizes: the distance is the mean difference of the ordered values.
wasserstein <- lapply(list(list(c(50, 30, 20, 0), c(0, 50, 30, 20)), list(c(25, 25, 25, 25), c(40, 10, 10, 40)), list(c(70, 20, 10), c(30, 40, 30))), function(pair) {
  values <- function(counts) rep(seq_along(counts), counts)
  list(first = pair[[1]], second = pair[[2]], width = one(0.05), estimate = one(0.05 * mean(abs(values(pair[[1]]) - values(pair[[2]])))))
})

noncentral <- Map(function(x, freedom, noncentrality) {
  list(x = one(x), freedom = one(freedom), noncentrality = one(noncentrality), below = one(pchisq(x, freedom, noncentrality)))
}, c(1, 3.84, 10, 25, 120, 900, 5500, 30), c(1, 1, 3, 9, 19, 4, 9, 2), c(0, 2, 5, 12.5, 80, 1000, 5000, 0.1))
noncentrality <- Map(function(x, freedom, level) {
  tail <- (1 - level) / 2
  end <- function(p) if (pchisq(x, freedom) <= p) 0 else uniroot(function(l) pchisq(x, freedom, l) - p, c(0, 10 * x + 50), tol = tiny, maxiter = 10000)$root
  list(x = one(x), freedom = one(freedom), level = one(level), low = one(end(1 - tail)), high = one(end(tail)))
}, c(0.05, 5, 20, 40, 300), c(3, 3, 9, 9, 19), c(0.95, 0.95, 0.95, 0.9, 0.99))

cat(toJSON(list(
  made_by = one(paste0(R.version.string, ", survival ", packageVersion("survival"), ", pROC ", packageVersion("pROC"))),
  survival = survival, chi_squared = chi, smirnov = smirnov, shares = shares, rates = rates, logs = logs, paired = paired,
  paired_means = paired_means, roc = roc_cases, wasserstein = wasserstein, noncentral = noncentral, noncentrality = noncentrality
), digits = NA, na = "null", pretty = 1), "\n")
