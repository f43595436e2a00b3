import Foundation
import ProgramTesting
import Testing

/// `schema infer` tells beforehand what the first run registers.
struct SchemaInferTests {
    @Test func inferredSchemaIsWhatTheFirstRunRegisters() throws {
        let database = try PostgresDatabase()
        _ = try database.sql(
            """
            CREATE TYPE mood AS ENUM ('ok', 'sad');
            CREATE TABLE orders (id bigint, note varchar(20), price numeric(10,2) NOT NULL, mood mood, tags text[],
                card text, twice bigint GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id));
            CREATE TABLE "full" (a int PRIMARY KEY, b jsonb);
            ALTER TABLE "full" REPLICA IDENTITY FULL
            """)
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  postgres: {url: "\(database.url)", tables: [public.orders, public.full]}
                transforms:
                  - {tables: [public.orders], mask: {card: redact}}
                sinks:
                  archive:
                    file: {path: "out/{table}.jsonl"}
                """)
        let inferred = try ["orders", "public.full"].map { table in
            let result = try program.run("schema", "infer", table)
            #expect(result.exitCode == 0, "\(result.errors)")
            return result.output
        }
        _ = try database.sql("INSERT INTO orders (id, price) VALUES (1, 2); INSERT INTO \"full\" VALUES (1, '{}')")
        try program.catchUp()
        for (table, text) in zip(["orders", "full"], inferred) {
            #expect(try program.run("schema", "show", "shop.public.\(table)").output == text)
        }
        let several = try program.run("schema", "infer", "public.*")
        #expect(several.exitCode == 2 && several.errors.contains("error[schema.unknown_table]"))
        #expect(try program.run("schema", "infer", "nothing").exitCode == 2)
    }

    @Test func tableOfASQLiteFileIsInferredBeforeItIsCaptured() throws {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db, tables: ["*"]}
                sinks:
                  archive:
                    file: {path: "out/{table}.jsonl"}
                """)
        try program.sqlite("shop.db", "CREATE TABLE orders (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b)")
        let result = try program.run("schema", "infer", "orders")
        #expect(result.exitCode == 0, "\(result.errors)")
        try program.sqlite("shop.db", "INSERT INTO orders VALUES (1, 'a', NULL)")
        try program.catchUp()
        #expect(try program.run("schema", "show", "shop.main.orders").output == result.output)
    }
}
