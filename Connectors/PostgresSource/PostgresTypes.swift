internal import ChangeModel

/// The built-in types that have a meaning of their own here, by oid (`pg_type.dat`: these numbers never change).
enum PostgresTypes {
    /// What a column of this type holds; `other` for every type that is not listed.
    static func valueType(ofTypeID id: UInt32) -> ValueType {
        switch id {
        case 16: .boolean
        case 17: .bytes
        case 20: .int64
        case 21: .int16
        case 23: .int32
        case 19, 25, 1042, 1043: .text
        case 114, 3802: .json
        case 700: .float32
        case 701: .float64
        case 1082: .date
        case 1083: .time
        case 1114: .timestamp
        case 1184: .timestampTZ
        case 1186: .interval
        case 1700: .numeric
        case 2950: .uuid
        default: .other
        }
    }
}
