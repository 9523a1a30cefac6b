//! The last things that happen to a response before its caller gets it: marks, evidence, and what slows,
//! breaks or ends its body.

use http::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use http_body::Body;

use super::{
    BoxError, Exposed, ResponseBody,
    body::{Armed, Limit, Pace},
    control,
    course::Ending,
    exchange::{Exchange, has_body},
    victim::Rule,
};
use crate::{exposure::Arm, scenario::Mark};

/// The response mark.
const MARK: &str = "x-canard";

/// The byte of a coded body that is broken, from 0: the first of the compressed data in gzip.
const CORRUPTED: u64 = 10;

impl Exchange {
    /// Marks the response, begins to watch its body, and ends or slows it where a fault says so.
    pub(super) fn finish<R>(mut self, mut response: Response<ResponseBody<R>>) -> Response<ResponseBody<R>>
    where
        R: Body,
        R::Error: Into<BoxError>,
    {
        let (ending, throttle) = (self.course.ending.take(), self.course.throttle.take());
        let limit = match ending {
            _ if self.refused => Some(Limit::cuts(0, self.abort.clone())),
            Some((rule, ending)) => self.limit(rule, ending, &mut response),
            None => None,
        };
        let corrupt = self.course.corrupt.take().filter(|rule| self.corrupts(*rule, &response));
        let pace = throttle.and_then(|(rule, rate)| self.pace(rule, rate, &response));
        if let Some(unknown) = self.unknown {
            response.headers_mut().insert(control::UNKNOWN, unknown);
        }
        let Exchange { victim, mut watch, place, .. } = self;
        if victim.lease.plan.document.mark == Mark::On {
            victim.marks().for_each(|mark| _ = response.headers_mut().append(MARK, mark));
        }
        // Another plan, nearer to the upstream, may have treated it as well, and have told its version.
        let other = response.extensions().get::<Exposed>();
        let arm =
            if other.is_some_and(|other| other.arm == Arm::Treated) { Arm::Treated } else { victim.arm };
        let told = other.and_then(|other| other.version.clone());
        let version = match (&victim.version, &victim.lease.plan.release) {
            (Some(version), Some(release)) if told.is_none() || victim.arm == Arm::Treated => {
                response.headers_mut().insert(&release.header, version.value.clone());
                Some(version.name.clone())
            }
            _ => told,
        };
        response.extensions_mut().insert(Exposed { arm, version });
        let codec = &victim.lease.plan.target.codec;
        let reads = response.status().is_success() && codec.is_prediction(watch.method(), watch.uri().path());
        watch.respond(&response, Some(victim.arm), reads.then_some(victim.lease.body_limit));
        if limit.as_ref().is_some_and(Limit::breaks) {
            watch.broke();
        }
        response.body_mut().arm(Armed {
            watch,
            limit,
            corrupt: corrupt.map(|_| CORRUPTED),
            pace,
            rest: None,
            _slots: victim.slots(),
            lease: victim.lease,
            _place: place,
        });
        response
    }

    fn pace<R>(&mut self, rule: Rule, rate: f64, response: &Response<ResponseBody<R>>) -> Option<Pace>
    where
        R: Body,
        R::Error: Into<BoxError>,
    {
        if !has_body(self.watch.method(), response.status()) || response.body().is_end_stream() {
            self.victim.skip(rule, "no-body");
            return None;
        }
        let change = format!("no faster than {rate:.0} bytes per second");
        self.victim.act(rule, &change, 0).then(|| Pace::new(rate))
    }

    /// Breaks a coded body, if it is one and there is something to break.
    fn corrupts<R>(&mut self, rule: Rule, response: &Response<ResponseBody<R>>) -> bool
    where
        R: Body,
        R::Error: Into<BoxError>,
    {
        let coding = response.headers().get(CONTENT_ENCODING);
        let reason = if !has_body(self.watch.method(), response.status()) {
            "no-body"
        } else if coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            "not-encoded"
        } else if response.body().size_hint().upper().is_some_and(|length| length <= CORRUPTED) {
            "short-body"
        } else {
            return self.victim.act(rule, "coded body broken", 0);
        };
        self.victim.skip(rule, reason);
        false
    }

    fn limit<R>(
        &mut self,
        rule: Rule,
        ending: Ending,
        response: &mut Response<ResponseBody<R>>,
    ) -> Option<Limit>
    where
        R: Body,
        R::Error: Into<BoxError>,
    {
        let length = response.body().size_hint().exact();
        let (after, in_body) = match ending {
            Ending::Reset { after_bytes } => {
                (after_bytes.unwrap_or(0), after_bytes.is_some() || self.abort.is_none())
            }
            Ending::Truncate { after, .. } => match after.of(length) {
                Some(bytes) => (bytes, true),
                None => {
                    self.victim.skip(rule, "length-unknown");
                    return None;
                }
            },
        };
        if in_body && !has_body(self.watch.method(), response.status()) {
            self.victim.skip(rule, "no-body");
            return None;
        }
        if let Ending::Truncate { .. } = ending
            && length.is_some_and(|length| length <= after)
        {
            self.victim.skip(rule, "short-body");
            return None;
        }
        // A server stops asking at Content-Length: break before the last byte, or promise no length.
        let left = after.min(length.map_or(u64::MAX, |length| length.saturating_sub(1)));
        let change = match ending {
            Ending::Reset { after_bytes: None } => "connection cut".to_owned(),
            Ending::Reset { after_bytes: Some(_) } => format!("connection cut after {left} bytes"),
            Ending::Truncate { .. } => format!("body ended after {left} bytes"),
        };
        if !self.victim.act(rule, &change, 0) {
            return None;
        }
        let headers = response.headers_mut();
        match ending {
            Ending::Truncate { clean: true, .. } => {
                if headers.contains_key(CONTENT_LENGTH) {
                    headers.insert(CONTENT_LENGTH, left.into());
                }
                return Some(Limit::ends(left));
            }
            Ending::Truncate { clean: false, .. } => return Some(Limit::cuts(left, None)),
            Ending::Reset { .. } => {}
        }
        if length == Some(0) {
            headers.remove(CONTENT_LENGTH);
        }
        if let (Ending::Reset { after_bytes: None }, Some(abort)) = (ending, &self.abort) {
            abort.abort();
        }
        Some(Limit::cuts(left, self.abort.clone()))
    }
}
