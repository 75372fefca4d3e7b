# cmake/Libraries.cmake - the libraries of the distribution, one target each.
find_package(PkgConfig REQUIRED)

# lib::<target> from pkg-config; the first module found of those named wins.
function(sb_find_library target)
    foreach(module ${ARGN})
        pkg_check_modules(lib_${target} QUIET IMPORTED_TARGET ${module})
        if(lib_${target}_FOUND)
            # Its own folder, and nothing of what it was built with: CMake 3.25 writes krb5's -isystem
            # differently when it configures again, which compiled everything anew; and Debian 13's
            # msgpack-c.pc says -Iinclude, where no folder of ours is meant.
            string(REGEX REPLACE "[<>=].*" "" name ${module})
            pkg_get_variable(folder ${name} includedir)
            if(NOT IS_ABSOLUTE "${folder}")
                set(folder "")
            endif()
            set_target_properties(PkgConfig::lib_${target} PROPERTIES
                                  INTERFACE_INCLUDE_DIRECTORIES "${folder}"
                                  INTERFACE_COMPILE_OPTIONS "")
            add_library(lib::${target} ALIAS PkgConfig::lib_${target})
            return()
        endif()
    endforeach()
    list(JOIN ARGN " or " names)
    message(FATAL_ERROR "${names} is not installed; ./deploy/packages build installs it")
endfunction()

sb_find_library(uv "libuv>=1.44")
sb_find_library(llhttp "libllhttp>=9")
sb_find_library(yyjson "yyjson>=0.8")
sb_find_library(czmq "libczmq>=4.2")
sb_find_library(zmq "libzmq>=4.3.4")
sb_find_library(sodium "libsodium>=1.0.18")
sb_find_library(msgpack msgpack-c msgpack)
sb_find_library(curl "libcurl>=7.88")
sb_find_library(openssl "openssl>=3")
sb_find_library(pq "libpq>=15")
sb_find_library(microhttpd "libmicrohttpd>=0.9.75")
sb_find_library(yaml "yaml-0.1")
sb_find_library(maxminddb "libmaxminddb>=1.5")
sb_find_library(zstd "libzstd>=1.5")
