//! Any GPIO chip of the kernel, by its character device.

use std::io;
use std::path::Path;
use std::sync::Arc;

use gpiocdev::line::{Bias, Drive, EdgeDetection, Value};
use gpiocdev::request::Builder;
use gpiocdev::{Chip, Request};

use super::{
    CONSUMER, Edges, GpioError, GpioSpec, HookLine, HookLineSpec, InputLine, Lines, LinesSpec,
    OutputLine, PinError, Pull,
};

/// One line of a request.
#[derive(Debug)]
pub struct ChipLine {
    request: Arc<Request>,
    offset: u32,
}

impl ChipLine {
    pub(super) fn is_high(&self) -> Result<bool, PinError> {
        match self.request.value(self.offset) {
            Ok(value) => Ok(value == Value::Active),
            Err(error) => Err(PinError(error.to_string())),
        }
    }

    pub(super) fn set(&self, high: bool) -> Result<(), PinError> {
        self.request
            .set_value(self.offset, level(high))
            .map_err(|error| PinError(error.to_string()))
    }
}

/// The chip with this label, name or path.
pub(super) fn find_chip(name: &str) -> Result<Chip, GpioError> {
    let reason = |error: gpiocdev::Error| GpioError::Chip {
        chip: name.into(),
        reason: error.to_string(),
    };
    if name.starts_with('/') {
        let path = Path::new(name);
        return Chip::from_path(path).map_err(|error| match os_error(&error) {
            Some(io::ErrorKind::NotFound) => missing(name, &[]),
            Some(io::ErrorKind::PermissionDenied) => denied(path),
            _ => reason(error),
        });
    }
    let mut found = Vec::new();
    let mut closed = None;
    for path in gpiocdev::chip::chips().map_err(reason)? {
        let chip = match Chip::from_path(&path) {
            Ok(chip) => chip,
            Err(error) if os_error(&error) == Some(io::ErrorKind::PermissionDenied) => {
                closed = Some(path);
                continue;
            }
            // A chip that goes away meanwhile is no chip.
            Err(_) => continue,
        };
        let Ok(info) = chip.info() else { continue };
        if info.label == name || info.name == name {
            return Ok(chip);
        }
        found.push(format!("{} ({})", info.name, info.label));
    }
    // The chip may be the one that cannot be looked at.
    Err(closed.map_or_else(|| missing(name, &found), |path| denied(&path)))
}

/// Who has the line, if somebody has.
pub(super) fn user(chip: &Chip, line: u32) -> Option<String> {
    let info = chip.line_info(line).ok().filter(|info| info.used)?;
    Some(if info.consumer.is_empty() {
        "a driver of the kernel".into()
    } else {
        info.consumer
    })
}

pub(super) fn open(spec: &GpioSpec, lines: &LinesSpec) -> Result<Lines, GpioError> {
    let chip = find_chip(&spec.chip)?;
    let opening = Opening { chip: &chip };
    opening.check(lines)?;
    let columns = opening.outputs(&lines.columns, |builder| {
        builder
            .as_output(Value::Active)
            .with_drive(Drive::OpenDrain);
    })?;
    let mut outputs = Vec::with_capacity(lines.outputs.len());
    for (line, high) in &lines.outputs {
        outputs.extend(opening.outputs(&[*line], |builder| {
            builder.as_output(level(*high));
        })?);
    }
    let (rows, rows_tell) = opening.rows(&lines.rows, spec.edges)?;
    let hook = lines
        .hook
        .map(|hook| opening.hook(hook, spec.edges))
        .transpose()?;
    let told = rows_tell && hook.as_ref().is_none_or(|(_, _, tells)| *tells);
    if spec.edges && !told {
        tracing::warn!(
            chip = spec.chip,
            "the chip tells no edges: its lines are read steadily"
        );
    }
    let requests = rows
        .iter()
        .cloned()
        .chain(hook.iter().map(|(request, _, _)| Arc::clone(request)));
    let edges = told.then(|| Edges::of_requests(requests.collect::<Vec<_>>()));
    let input = |request: &Arc<Request>, offset| {
        InputLine::Chip(ChipLine {
            request: Arc::clone(request),
            offset,
        })
    };
    Ok(Lines {
        rows: rows
            .iter()
            .flat_map(|request| lines.rows.iter().map(|row| input(request, *row)))
            .collect(),
        columns,
        hook: hook
            .zip(lines.hook)
            .map(|((request, debounced, _), spec)| HookLine {
                pin: input(&request, spec.line),
                debounced,
            }),
        outputs,
        edges,
    })
}

struct Opening<'a> {
    chip: &'a Chip,
}

impl Opening<'_> {
    /// That all lines are there, and free.
    fn check(&self, lines: &LinesSpec) -> Result<(), GpioError> {
        let count = self.chip.info().map_or(u32::MAX, |info| info.num_lines);
        let outputs = lines.outputs.iter().map(|(line, _)| *line);
        let hook = lines.hook.iter().map(|hook| hook.line);
        for line in lines
            .rows
            .iter()
            .chain(&lines.columns)
            .copied()
            .chain(hook)
            .chain(outputs)
        {
            if line >= count {
                return Err(GpioError::NoLine {
                    chip: self.chip.path().into(),
                    line,
                    last: count.saturating_sub(1),
                });
            }
            if let Some(by) = user(self.chip, line) {
                return Err(GpioError::Busy { line, by });
            }
        }
        Ok(())
    }

    fn outputs(
        &self,
        lines: &[u32],
        configure: impl FnOnce(&mut Builder),
    ) -> Result<Vec<OutputLine>, GpioError> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let mut builder = self.builder(lines);
        configure(&mut builder);
        let request = Arc::new(self.request(&builder, lines)?);
        let line = |offset: &u32| {
            OutputLine::Chip(ChipLine {
                request: Arc::clone(&request),
                offset: *offset,
            })
        };
        Ok(lines.iter().map(line).collect())
    }

    /// All rows in one request, and whether it tells edges. The kernel must not debounce them: it
    /// would also hold back the levels that a scan makes.
    fn rows(&self, lines: &[u32], edges: bool) -> Result<(Option<Arc<Request>>, bool), GpioError> {
        if lines.is_empty() {
            return Ok((None, true));
        }
        let mut builder = self.builder(lines);
        builder.as_input().with_bias(Bias::PullUp);
        if edges {
            builder.with_edge_detection(EdgeDetection::FallingEdge);
            if let Some(request) = self.request_or_refusal(&builder, lines)? {
                return Ok((Some(Arc::new(request)), true));
            }
            builder.with_edge_detection(None);
        }
        let request = self.request(&builder, lines)?;
        Ok((Some(Arc::new(request)), false))
    }

    /// The hook's request, whether the kernel debounces it, and whether it tells edges.
    fn hook(
        &self,
        hook: HookLineSpec,
        edges: bool,
    ) -> Result<(Arc<Request>, bool, bool), GpioError> {
        let lines = [hook.line];
        let mut builder = self.builder(&lines);
        builder.as_input().with_bias(match hook.pull {
            Pull::Up => Some(Bias::PullUp),
            Pull::Down => Some(Bias::PullDown),
            Pull::None => Some(Bias::Disabled),
        });
        if edges {
            builder.with_edge_detection(EdgeDetection::BothEdges);
            if !hook.debounce.is_zero() {
                let mut debounced = builder.clone();
                debounced.with_debounce_period(hook.debounce);
                if let Some(request) = self.request_or_refusal(&debounced, &lines)? {
                    return Ok((Arc::new(request), true, true));
                }
            }
            if let Some(request) = self.request_or_refusal(&builder, &lines)? {
                return Ok((Arc::new(request), false, true));
            }
            builder.with_edge_detection(None);
        }
        let request = self.request(&builder, &lines)?;
        Ok((Arc::new(request), false, false))
    }

    fn builder(&self, lines: &[u32]) -> Builder {
        let mut builder = Request::builder();
        builder
            .on_chip(self.chip.path())
            .with_consumer(CONSUMER)
            .with_lines(lines);
        builder
    }

    fn request(&self, builder: &Builder, lines: &[u32]) -> Result<Request, GpioError> {
        builder
            .clone()
            .request()
            .map_err(|error| self.error(&error, lines))
    }

    /// None if the chip cannot do what was asked for, though the lines are free.
    fn request_or_refusal(
        &self,
        builder: &Builder,
        lines: &[u32],
    ) -> Result<Option<Request>, GpioError> {
        match self.request(builder, lines) {
            Ok(request) => Ok(Some(request)),
            Err(GpioError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn error(&self, error: &gpiocdev::Error, lines: &[u32]) -> GpioError {
        let line = lines.first().copied().unwrap_or_default();
        match os_error(error) {
            Some(io::ErrorKind::ResourceBusy) => {
                let busy = lines
                    .iter()
                    .find_map(|line| Some((*line, user(self.chip, *line)?)));
                let (line, by) = busy.unwrap_or((line, "another program".into()));
                GpioError::Busy { line, by }
            }
            Some(io::ErrorKind::PermissionDenied) => denied(self.chip.path()),
            _ => GpioError::failed(line, error),
        }
    }
}

const fn level(high: bool) -> Value {
    if high { Value::Active } else { Value::Inactive }
}

fn os_error(error: &gpiocdev::Error) -> Option<io::ErrorKind> {
    let number = match error {
        gpiocdev::Error::Os(errno) | gpiocdev::Error::Uapi(_, gpiocdev_uapi::Error::Os(errno)) => {
            errno.0
        }
        _ => return None,
    };
    Some(io::Error::from_raw_os_error(number).kind())
}

fn denied(path: &Path) -> GpioError {
    GpioError::Denied { path: path.into() }
}

fn missing(chip: &str, found: &[String]) -> GpioError {
    let found = match found {
        [] => "none".into(),
        chips => chips.join(", "),
    };
    GpioError::ChipMissing {
        chip: chip.into(),
        found,
    }
}
