//! Keys, hook, lamps and display of a virtual board, for the page and for tests.

use super::api::{Answer, Api, Body, Failure, accepted, refuse};
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use embedded_graphics::pixelcolor::{Rgb565, RgbColor};
use offhook_hal::virtual_board::VirtualPanel;
use offhook_hal::{Framebuffer, HookState, Key};
use serde::Deserialize;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/board/keys", post(keys))
        .route("/api/v1/board/hook", post(hook))
        .route("/api/v1/board/display.png", get(display))
        .route("/api/v1/board/lamps", get(lamps))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    key: Key,
    action: Action,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Tap,
    Press,
    Release,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HookBody {
    state: HookState,
}

async fn keys(State(api): State<Api>, Body(KeyBody { key, action }): Body<KeyBody>) -> Answer {
    let panel = virtual_panel(&api)?;
    match action {
        Action::Tap => panel.tap(key),
        Action::Press => panel.press(key),
        Action::Release => panel.release(key),
    }
    Ok(accepted())
}

async fn hook(State(api): State<Api>, Body(HookBody { state }): Body<HookBody>) -> Answer {
    virtual_panel(&api)?.set_hook(state);
    Ok(accepted())
}

async fn lamps(State(api): State<Api>) -> Answer {
    Ok(Json(virtual_panel(&api)?.lamps()).into_response())
}

async fn display(State(api): State<Api>) -> Answer {
    let frame = virtual_panel(&api)?.frame();
    let image = png_of(&frame).map_err(|error| {
        refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "generic",
            format!("the display cannot be drawn: {error}"),
        )
    })?;
    Ok((
        [
            (header::CONTENT_TYPE, "image/png"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        image,
    )
        .into_response())
}

fn virtual_panel(api: &Api) -> Result<&VirtualPanel, Failure> {
    api.virtual_panel.as_ref().ok_or_else(|| {
        refuse(
            StatusCode::NOT_FOUND,
            "not_found",
            "this phone has real keys; start it with the board \"desktop\" or --virtual-panel to have these paths",
        )
        .into()
    })
}

fn png_of(frame: &Framebuffer) -> Result<Vec<u8>, png::EncodingError> {
    use embedded_graphics::geometry::OriginDimensions;
    let size = frame.size();
    let mut pixels = Vec::with_capacity(3 * (size.width * size.height) as usize);
    for color in frame.pixels() {
        pixels.extend(eight_bits(color));
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

/// Five and six bits spread over eight, so that white stays white.
fn eight_bits(color: Rgb565) -> [u8; 3] {
    let (r, g, b) = (
        u16::from(color.r()),
        u16::from(color.g()),
        u16::from(color.b()),
    );
    [
        (r * 255 / 31) as u8,
        (g * 255 / 63) as u8,
        (b * 255 / 31) as u8,
    ]
}
