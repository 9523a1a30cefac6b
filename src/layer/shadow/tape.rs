//! What passed of a body, and when. Bounded, alone and together with all others.

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;

use super::room::{Room, Taken};
use crate::evidence::{CHUNK_OVERHEAD, LeftOut};

/// A frame that can be copied.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// A copy of a body on its way. What does not fit is given up as a whole.
#[derive(Debug)]
pub(super) struct Tape {
    pieces: VecDeque<(Duration, Piece)>,
    bytes: usize,
    limit: usize,
    held: Option<Taken>,
    flaw: Option<LeftOut>,
    ended: bool,
}

impl Tape {
    /// Keeps up to `limit` bytes, if there is room; `ended`: there are none.
    pub(super) fn new(limit: usize, room: &Room, ended: bool) -> Option<Tape> {
        let held = Some(room.take(CHUNK_OVERHEAD)?);
        Some(Tape { pieces: VecDeque::new(), bytes: 0, limit, held, flaw: None, ended })
    }

    /// Notes what a poll of the body gave, so long after the request came; `ended`: nothing comes any more.
    pub(super) fn polled<E>(&mut self, at: Duration, frame: Option<&Result<Frame<Bytes>, E>>, ended: bool) {
        match frame {
            None => self.ended = true,
            Some(Err(_)) => {}
            Some(Ok(frame)) => {
                self.keep(at, frame);
                self.ended |= ended;
            }
        }
    }

    fn keep(&mut self, at: Duration, frame: &Frame<Bytes>) {
        let (piece, size) = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) if data.is_empty() => return,
            (Some(data), _) => (Piece::Data(data.clone()), data.len()),
            (None, Some(trailers)) => {
                let size = trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
                (Piece::Trailers(trailers.clone()), size)
            }
            (None, None) => return,
        };
        if self.flaw.is_some() {
            return;
        }
        self.bytes += size;
        // A body in one piece may be as large as the limit.
        let flaw = if self.bytes + self.pieces.len() * CHUNK_OVERHEAD > self.limit {
            LeftOut::TooLarge
        } else if !self.held.as_mut().is_some_and(|held| held.more(size + CHUNK_OVERHEAD)) {
            LeftOut::Memory
        } else {
            return self.pieces.push_back((at, piece));
        };
        self.flaw = Some(flaw);
        self.clear();
    }

    /// Keeps nothing, and takes no room.
    pub(super) fn clear(&mut self) {
        self.pieces = VecDeque::new();
        self.held = None;
    }

    /// Is all of it there? If not, why.
    pub(super) fn whole(&self) -> Result<(), LeftOut> {
        match self.flaw {
            Some(flaw) => Err(flaw),
            None if self.ended => Ok(()),
            None => Err(LeftOut::NotWhole),
        }
    }

    /// All the data in one piece.
    pub(super) fn joined(&self) -> Bytes {
        let data = |(_, piece): &(Duration, Piece)| match piece {
            Piece::Data(data) => Some(data.clone()),
            Piece::Trailers(_) => None,
        };
        let mut data = self.pieces.iter().filter_map(data);
        match (data.next(), data.next()) {
            (None, _) => Bytes::new(),
            (Some(one), None) => one,
            (Some(one), Some(two)) => {
                let mut joined = BytesMut::with_capacity(self.bytes);
                [one, two].into_iter().chain(data).for_each(|data| joined.extend_from_slice(&data));
                joined.freeze()
            }
        }
    }

    /// The room that it takes, for somebody else to give back. Nothing more is kept.
    pub(super) fn hand_over(&mut self) -> Option<Taken> {
        self.held.take()
    }

    /// What was kept, and when.
    pub(super) fn into_pieces(self) -> VecDeque<(Duration, Piece)> {
        self.pieces
    }

    /// A copy of what was kept.
    pub(super) fn pieces(&self) -> VecDeque<Piece> {
        self.pieces.iter().map(|(_, piece)| piece.clone()).collect()
    }
}

impl From<Piece> for Frame<Bytes> {
    fn from(piece: Piece) -> Frame<Bytes> {
        match piece {
            Piece::Data(data) => Frame::data(data),
            Piece::Trailers(trailers) => Frame::trailers(trailers),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn tape(limit: usize, room: &Room, frames: &[&'static [u8]]) -> Tape {
        let mut tape = Tape::new(limit, room, false).unwrap();
        for frame in frames {
            let frame = Ok::<_, Infallible>(Frame::data(Bytes::from_static(frame)));
            tape.polled(Duration::ZERO, Some(&frame), false);
        }
        tape.polled::<Infallible>(Duration::ZERO, None, true);
        tape
    }

    #[test]
    fn a_body_is_kept_or_given_up_as_a_whole() {
        let room = Room::new(1 << 10);
        let kept = tape(100, &room, &[b"ab", b"", b"c"]);
        assert_eq!((kept.whole(), kept.joined()), (Ok(()), Bytes::from_static(b"abc")));
        for (limit, frames, flaw) in
            [(2, &[&b"abc"[..]][..], LeftOut::TooLarge), (1 << 20, &[&[0; 2000][..]], LeftOut::Memory)]
        {
            let given_up = tape(limit, &room, frames);
            assert_eq!((given_up.whole(), given_up.joined()), (Err(flaw), Bytes::new()));
            let kept = 3 + 3 * CHUNK_OVERHEAD;
            assert!(room.take((1 << 10) - kept).is_some(), "what is given up takes no room");
        }
        drop(kept);
        assert!(room.take(1 << 10).is_some(), "all room is given back");
        assert_eq!(Tape::new(9, &room, false).unwrap().whole(), Err(LeftOut::NotWhole));
    }
}
