# Builds modules of this package by hand, for programs that are not part of it. Source this file.

# swift_modules FOLDER OPTIONS MODULE …: compiles modules, dependencies first, into FOLDER. Leaves the options for what
# is linked with them in $swift_options, and the object files in $swift_objects.
swift_modules() {
    _folder=$1
    swift_options="$2 -swift-version 6 -parse-as-library -package-name millrace -I $_folder -I Sources/CPCRE2
        -enable-experimental-feature Lifetimes -enable-upcoming-feature InternalImportsByDefault"
    shift 2
    swift_objects=
    for _module in "$@"; do
        # shellcheck disable=SC2046,SC2086
        swiftc $swift_options -wmo -module-name "$_module" \
            -emit-module -emit-module-path "$_folder/$_module.swiftmodule" \
            -emit-object -o "$_folder/$_module.o" $(find Sources/"$_module" -name '*.swift' | sort)
        swift_objects="$swift_objects $_folder/$_module.o"
    done
}
