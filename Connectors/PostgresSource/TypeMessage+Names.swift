internal import ChangeModel

extension TypeMessage {
    /// The name as the server's format_type writes it where types of `public` are found without their schema.
    var text: String {
        let name = Self.quoted(name)
        return namespace == "public" || namespace.isEmpty || namespace == "pg_catalog"
            ? name : Self.quoted(namespace) + "." + name
    }

    /// What values hold: of a domain over a built-in type, whose name the server announces; `other` for the rest.
    func valueType(numeric: ValueType) -> ValueType {
        guard namespace.isEmpty || namespace == "pg_catalog", let id = Self.builtIn[name] else { return .other }
        let type = PostgresTypes.valueType(ofTypeID: id)
        return type == .numeric ? numeric : type
    }

    private static let builtIn: [String: UInt32] = [
        "bool": 16, "bytea": 17, "int8": 20, "int2": 21, "int4": 23, "text": 25, "json": 114, "float4": 700,
        "float8": 701, "bpchar": 1042, "varchar": 1043, "date": 1082, "time": 1083, "timestamp": 1114,
        "timestamptz": 1184, "interval": 1186, "timetz": 1266, "numeric": 1700, "uuid": 2950, "jsonb": 3802,
    ]

    private static func quoted(_ name: String) -> String {
        let isPlain = name.utf8.enumerated().allSatisfy { place, byte in
            (0x61...0x7A).contains(byte) || byte == 0x5F
                || (place > 0 && ((0x30...0x39).contains(byte) || byte == 0x24))
        }
        return isPlain && !name.isEmpty ? name : SQLText.identifier(name)
    }
}
