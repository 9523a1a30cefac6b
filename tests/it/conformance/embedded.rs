//! The embedded layer conforms.

use bytes::Bytes;
use canard::layer::{ChaosLayer, Handle, Rack, RequestBody};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};

use super::{Runner, assert_conforms, upstream};

struct Embedded(Handle);

impl Runner for Embedded {
    fn rack(&self) -> Rack {
        self.0.clone().into()
    }

    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let service = service_fn(async |request: Request<RequestBody<Full<Bytes>>>| {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, std::convert::Infallible>(upstream(&Request::from_parts(parts, body)).map(Full::new))
        });
        let service = ChaosLayer::new(self.0.clone()).layer(service);
        let response = service.oneshot(request.map(Full::new)).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

#[tokio::test]
async fn the_embedded_layer_conforms() {
    assert_conforms(&Embedded(Handle::default().with_request_control())).await;
}
