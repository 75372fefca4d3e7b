# cmake/EmbedSql.cmake - the SQL files as C, so that the program stands alone.
#
# Included: sb_embed_sql(<target> <folder>) adds the generated source to a target.
# Run with -P: writes OUT from the files of FOLDER.
if(NOT CMAKE_SCRIPT_MODE_FILE)
    set(sb_embed_script ${CMAKE_CURRENT_LIST_FILE})
    function(sb_embed_sql target folder)
        set(out ${PROJECT_BINARY_DIR}/generated/${target}_sql.c)
        file(GLOB files CONFIGURE_DEPENDS ${folder}/*.sql ${folder}/query/*.sql)
        add_custom_command(OUTPUT ${out}
            COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DFOLDER=${folder} -P ${sb_embed_script}
            DEPENDS ${files} ${sb_embed_script} VERBATIM)
        target_sources(${target} PRIVATE ${out})
    endfunction()
    return()
endif()

# Bytes, not a string literal: those may not be longer than 4095 characters.
function(embed file declaration)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))" "\\1\n" bytes
           "${bytes}")
    file(APPEND ${OUT} "${declaration}[] = {\n${bytes}0};\n\n")
endfunction()

file(WRITE ${OUT} "/* made by cmake/EmbedSql.cmake */\n#include \"controlplane/sql.h\"\n\n")
file(GLOB files ${FOLDER}/query/*.sql)
list(SORT files)
foreach(file ${files})
    cmake_path(GET file STEM name)
    embed(${file} "const char cp_sql_${name}")
endforeach()

file(GLOB files ${FOLDER}/*.sql)
list(SORT files)
set(rows "")
set(expected 0)
foreach(file ${files})
    cmake_path(GET file STEM name)
    string(REGEX REPLACE "^0*([0-9]+)_.*" "\\1" number ${name})
    if(NOT number EQUAL expected)
        message(FATAL_ERROR "${file}: number ${expected} comes next")
    endif()
    math(EXPR expected "${expected} + 1")
    embed(${file} "static const char file_${number}")
    string(APPEND rows "    {${number}, \"${name}\", file_${number}},\n")
endforeach()
file(APPEND ${OUT} "const struct cp_sql_file cp_sql_files[] = {\n${rows}};\n"
     "const size_t cp_sql_n_files = ${expected};\n")
