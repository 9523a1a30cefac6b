//! The datatypes of tensors: how each is named, how long it is, and how it is read from and written to bytes.
//!
//! A value that a datatype can't hold (a fraction in an `INT64`, `null` in a binary `FP32`) is an error and never
//! a nearby value; only the rounding of a number to the precision of its tensor is the wire's own.

use super::{
    super::{
        Value, WireError,
        protobuf::write_varint,
        reading::{self, Format, Render},
    },
    half::{BF16, FP16, Half},
};

/// The datatype of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datatype {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    /// Texts, or any bytes.
    Bytes,
}

/// What a tensor of a datatype may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Discrete,
    Real,
    Other,
}

use Datatype::*;

impl Datatype {
    /// The datatype that the Open Inference Protocol calls so.
    pub(crate) fn named(name: &str) -> Option<Datatype> {
        Some(match name {
            "BOOL" => Bool,
            "INT8" => Int8,
            "INT16" => Int16,
            "INT32" => Int32,
            "INT64" => Int64,
            "UINT8" => Uint8,
            "UINT16" => Uint16,
            "UINT32" => Uint32,
            "UINT64" => Uint64,
            "FP16" => Fp16,
            "BF16" => Bf16,
            "FP32" => Fp32,
            "FP64" => Fp64,
            "BYTES" => Bytes,
            _ => return None,
        })
    }

    pub(crate) const fn family(self) -> Family {
        match self {
            Fp16 | Bf16 | Fp32 | Fp64 => Family::Real,
            _ => Family::Discrete,
        }
    }

    /// Bytes of one value in binary form; `None` when they differ.
    pub(crate) const fn size(self) -> Option<usize> {
        Some(match self {
            Bool | Int8 | Uint8 => 1,
            Int16 | Uint16 | Fp16 | Bf16 => 2,
            Int32 | Uint32 | Fp32 => 4,
            Int64 | Uint64 | Fp64 => 8,
            Bytes => return None,
        })
    }

    /// How a value is written in JSON.
    pub(crate) const fn in_json(self) -> Format {
        match self {
            Fp64 => Format::Double,
            Fp32 => Format::Single,
            Fp16 => Format::With(json_fp16),
            Bf16 => Format::With(json_bf16),
            _ => Format::Whole,
        }
    }

    /// How a value is written in binary form, little-endian.
    pub(crate) const fn in_binary(self) -> Render {
        match self {
            Bool => |value, _, out| truth(value).map(|truth| out.push(truth.into())),
            Int8 => little::<i8>,
            Int16 => little::<i16>,
            Int32 => little::<i32>,
            Int64 => little::<i64>,
            Uint8 => little::<u8>,
            Uint16 => little::<u16>,
            Uint32 => little::<u32>,
            Uint64 => little::<u64>,
            Fp16 => |value, _, out| {
                float(value, "FP16").map(|number| out.extend(FP16.encode(number).to_le_bytes()))
            },
            Bf16 => |value, _, out| {
                float(value, "BF16").map(|number| out.extend(BF16.encode(number).to_le_bytes()))
            },
            Fp32 => |value, _, out| single(value).map(|number| out.extend(number.to_le_bytes())),
            Fp64 => |value, _, out| float(value, "FP64").map(|number| out.extend(number.to_le_bytes())),
            Bytes => counted_text,
        }
    }

    /// How a value is written as a varint, as protobuf does with whole numbers, truth values and, in TensorFlow,
    /// the bits of 16-bit floats.
    pub(crate) const fn in_varint(self) -> Render {
        match self {
            Bool => |value, _, out| truth(value).map(|truth| write_varint(truth.into(), out)),
            Int8 => varint::<i8>,
            Int16 => varint::<i16>,
            Int32 => varint::<i32>,
            Int64 => varint::<i64>,
            Uint8 => varint::<u8>,
            Uint16 => varint::<u16>,
            Uint32 => varint::<u32>,
            Uint64 => varint::<u64>,
            Fp16 => |value, _, out| {
                float(value, "FP16").map(|number| write_varint(FP16.encode(number).into(), out))
            },
            Bf16 => |value, _, out| {
                float(value, "BF16").map(|number| write_varint(BF16.encode(number).into(), out))
            },
            Fp32 | Fp64 | Bytes => |_, _, _| Err(WireError::Unsupported("such a number as a varint")),
        }
    }

    /// The value of as many bytes as [`Datatype::size`] says; `None` for [`Datatype::Bytes`].
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<Value> {
        fn read<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
            bytes.try_into().ok()
        }
        Some(match self {
            Bool => Value::Bool(read::<1>(bytes)? != [0]),
            Int8 => Value::Int(i8::from_le_bytes(read(bytes)?).into()),
            Int16 => Value::Int(i16::from_le_bytes(read(bytes)?).into()),
            Int32 => Value::Int(i32::from_le_bytes(read(bytes)?).into()),
            Int64 => Value::Int(i64::from_le_bytes(read(bytes)?)),
            Uint8 => Value::Int(u8::from_le_bytes(read(bytes)?).into()),
            Uint16 => Value::Int(u16::from_le_bytes(read(bytes)?).into()),
            Uint32 => Value::Int(u32::from_le_bytes(read(bytes)?).into()),
            Uint64 => unsigned(u64::from_le_bytes(read(bytes)?)),
            Fp16 => Value::Float(FP16.decode(u16::from_le_bytes(read(bytes)?))),
            Bf16 => Value::Float(BF16.decode(u16::from_le_bytes(read(bytes)?))),
            Fp32 => Value::Float(f32::from_le_bytes(read(bytes)?).into()),
            Fp64 => Value::Float(f64::from_le_bytes(read(bytes)?)),
            Bytes => return None,
        })
    }

    /// The value that a varint stands for.
    pub(crate) fn decode_varint(self, number: u64) -> Option<Value> {
        Some(match self {
            Bool => Value::Bool(number != 0),
            // A negative one is written as 64 bits, whatever its own width.
            Int8 | Int16 | Int32 | Int64 => Value::Int(number as i64),
            Uint8 | Uint16 | Uint32 | Uint64 => unsigned(number),
            Fp16 => Value::Float(FP16.decode(number as u16)),
            Bf16 => Value::Float(BF16.decode(number as u16)),
            Fp32 | Fp64 | Bytes => return None,
        })
    }
}

fn unsigned(number: u64) -> Value {
    i64::try_from(number).map_or(Value::Float(number as f64), Value::Int)
}

/// A whole number as one of the machine's.
trait Whole: TryFrom<i128> {
    const NAME: &'static str;

    fn write(self, out: &mut Vec<u8>);
    fn to_varint(self) -> u64;
}

macro_rules! whole {
    ($($type:ty: $name:literal),*) => {$(
        impl Whole for $type {
            const NAME: &'static str = $name;

            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn to_varint(self) -> u64 {
                self as u64
            }
        }
    )*};
}

whole!(i8: "INT8", i16: "INT16", i32: "INT32", i64: "INT64", u8: "UINT8", u16: "UINT16", u32: "UINT32", u64: "UINT64");

fn whole<T: Whole>(value: &Value) -> Result<T, WireError> {
    let number = match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Bool(truth) => Some(i128::from(*truth)),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e20 => Some(*number as i128),
        _ => None,
    };
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| unfit(value, T::NAME))
}

fn little<T: Whole>(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    whole::<T>(value).map(|number| number.write(out))
}

fn varint<T: Whole>(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    whole::<T>(value).map(|number| write_varint(number.to_varint(), out))
}

fn truth(value: &Value) -> Result<bool, WireError> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::Int(0) => Ok(false),
        Value::Int(1) => Ok(true),
        Value::Float(number) if *number == 0.0 => Ok(false),
        Value::Float(number) if *number == 1.0 => Ok(true),
        _ => Err(unfit(value, "BOOL")),
    }
}

fn float(value: &Value, datatype: &str) -> Result<f64, WireError> {
    value.as_f64().ok_or_else(|| unfit(value, datatype))
}

/// A number with 32 bits.
pub(crate) fn single(value: &Value) -> Result<f32, WireError> {
    float(value, "FP32").map(|number| number as f32)
}

/// A text behind its length, as binary `BYTES` tensors have them.
fn counted_text(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let text = plain_text(value)?;
    let length = u32::try_from(text.len()).map_err(|_| unfit(value, "BYTES"))?;
    out.extend(length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// The text of a value that is one.
pub(crate) fn plain_text(value: &Value) -> Result<&str, WireError> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(unfit(value, "BYTES")),
    }
}

/// Writes a text as it is, without quotes or length.
pub(crate) fn bare_text(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    out.extend_from_slice(plain_text(value)?.as_bytes());
    Ok(())
}

fn json_fp16(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    json_half(value, FP16, out)
}

fn json_bf16(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    json_half(value, BF16, out)
}

/// A number that the tensor can hold, written as the 32-bit number that it is. JSON carries what is too large
/// for the tensor, so that is left to the caller of the model to find.
fn json_half(value: &Value, half: Half, out: &mut Vec<u8>) -> Result<(), WireError> {
    match value {
        Value::Float(number) if half.round(*number).is_finite() => {
            reading::render(&Value::Float(half.round(*number)), Format::Single, out);
        }
        other => reading::render(other, Format::Double, out),
    }
    Ok(())
}

fn unfit(value: &Value, datatype: &str) -> WireError {
    let value = match value {
        Value::Text(_) => "a text".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
    };
    WireError::Unwritable(format!("{value} can't be written as {datatype}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Datatype; 14] =
        [Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Fp16, Bf16, Fp32, Fp64, Bytes];

    fn binary(datatype: Datatype, value: Value) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::new();
        datatype.in_binary()(&value, &[], &mut out).map(|()| out)
    }

    #[test]
    fn bytes_come_back() {
        for datatype in ALL {
            let Some(size) = datatype.size() else { continue };
            for byte in 0..=255_u8 {
                let bytes = [byte, 0x81, byte, !byte, 7, byte, byte ^ 0x35, 0x40];
                let bytes = &bytes[..size];
                let value = datatype.decode(bytes).unwrap();
                if value.as_f64().is_some_and(f64::is_nan) || datatype == Bool && byte > 1 {
                    continue;
                }
                let float = matches!((&value, datatype), (Value::Float(_), Uint64));
                assert!(float || binary(datatype, value).unwrap() == bytes, "{datatype:?} {bytes:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let max = Value::Float(u64::MAX as f64);
        for (datatype, value) in [
            (Int8, Value::Int(128)),
            (Int64, max.clone()),
            (Uint8, Value::Int(-1)),
            (Uint64, Value::Float(0.5)),
            (Uint64, Value::Float(f64::NAN)),
            (Uint64, max),
            (Bool, Value::Int(2)),
            (Fp32, Value::Null),
            (Fp64, Value::Text("1".into())),
            (Bytes, Value::Int(1)),
        ] {
            let error = binary(datatype, value).unwrap_err();
            assert_eq!(error.reason(), "unwritable", "{error}");
        }
        assert_eq!(binary(Int8, Value::Int(-1)), Ok(vec![0xff]));
        assert_eq!(binary(Fp32, Value::Float(1e300)), Ok(f32::INFINITY.to_le_bytes().to_vec()));
        assert_eq!(binary(Bytes, Value::Text("é".into())), Ok(vec![2, 0, 0, 0, 0xc3, 0xa9]));
    }

    #[test]
    fn varints_come_back() {
        for (datatype, value, length) in [
            (Int8, Value::Int(-1), 10),
            (Int64, Value::Int(i64::MIN), 10),
            (Uint32, Value::Int(300), 2),
            (Bool, Value::Bool(true), 1),
            (Fp16, Value::Float(0.5), 2),
            (Bf16, Value::Float(-0.5), 3),
        ] {
            let mut out = Vec::new();
            datatype.in_varint()(&value, &[], &mut out).unwrap();
            assert_eq!(out.len(), length, "{datatype:?}");
            let (number, end) = super::super::super::protobuf::varint(&out, 0, out.len()).unwrap();
            assert_eq!(end, length);
            assert_eq!(datatype.decode_varint(number), Some(value));
        }
    }

    #[test]
    fn json_has_the_precision_of_the_tensor() {
        let json = |datatype: Datatype, number: f64| {
            let Format::With(render) = datatype.in_json() else { panic!("{datatype:?}") };
            let mut out = Vec::new();
            render(&Value::Float(number), &[], &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(json(Fp16, 0.9), "0.89990234");
        assert_eq!(json(Bf16, 0.9), "0.8984375");
        assert_eq!(json(Fp16, 1e30), "1e+30");
        assert_eq!(json(Fp16, f64::NAN), "NaN");
    }
}
