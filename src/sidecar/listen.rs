//! One listener per worker on one port, and never on a port that somebody else has.
//!
//! With `SO_REUSEPORT` the kernel spreads connections over the workers' listeners. The same option would
//! let a second sidecar bind the same port in silence and take half of the traffic, so the first socket is
//! bound *without* it, which fails when anybody listens there, and gets it only afterwards.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::SidecarError;

const BACKLOG: i32 = 1024;

/// Binds `count` listeners to one address; port 0 takes a free one for all of them.
pub(super) fn bind(address: SocketAddr, count: usize) -> Result<Vec<std::net::TcpListener>, SidecarError> {
    let failed = |source| SidecarError::Listen { address, source };
    let first = socket(address).map_err(failed)?;
    first.bind(&address.into()).map_err(failed)?;
    first.set_reuse_port(true).map_err(failed)?;
    let bound = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    for _ in 1..count {
        let more = socket(address).map_err(failed)?;
        more.set_reuse_port(true).map_err(failed)?;
        more.bind(&bound).map_err(failed)?;
        sockets.push(more);
    }
    for socket in &sockets {
        socket.listen(BACKLOG).map_err(failed)?;
    }
    Ok(sockets.into_iter().map(Into::into).collect())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of its predecessor to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_sidecar_has_is_refused() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mine = bind(loopback, 3).unwrap();
        let address = mine[0].local_addr().unwrap();
        assert!(mine.iter().all(|l| l.local_addr().unwrap() == address));
        for count in [1, 3] {
            let error = bind(address, count).unwrap_err();
            assert!(
                matches!(&error, SidecarError::Listen { source, .. }
                if source.kind() == io::ErrorKind::AddrInUse),
                "{error}"
            );
        }
        drop(mine);
        assert!(bind(address, 2).is_ok());
    }
}
