import ConnectorKit
import Testing

@testable import SQLiteSource

@Suite struct SQLiteSettingsTests {
    @Test func defaultsOfTheTableAreWhatTheSettingsMean() throws {
        var values = SettingValues()
        for setting in SQLiteSettings.table { values[setting.name] = setting.defaultValue }
        values["path"] = .text("shop.db")
        let settings = try SQLiteSettings(values: values, pipelineName: "shop")
        #expect(settings.path == "shop.db" && settings.tables.map(\.text) == ["*"])
        #expect(settings.takesSnapshot && settings.pollInterval == .milliseconds(50))
    }

    @Test func nonsenseIsAProblemWithTheSettingsName() {
        let cases: [(String, SettingValue)] = [
            ("path", .text("")), ("path", .text("a\0b")), ("tables", .list([])), ("tables", .list([""])),
            ("poll_interval", .duration(.zero)), ("poll_interval", .duration(.seconds(61))),
        ]
        for (name, value) in cases {
            var values = SettingValues(["path": .text("p")])
            values[name] = value
            let problem = #expect(throws: SettingProblem.self) {
                try SQLiteSettings(values: values, pipelineName: "shop")
            }
            #expect(problem?.setting == name)
        }
    }
}
