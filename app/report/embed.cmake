# Turns the page's parts into C arrays: cmake -D OUTPUT=FILE.c -D FOLDER=DIR -D SCRIPTS="a.js;b.js"
# -P embed.cmake. The scripts become one, in the order given.

set(code "/* Made by app/report/embed.cmake. */\n#include \"report/report.h\"\n")

function(embed name)
    set(bytes "")
    foreach(file ${ARGN})
        file(READ ${FOLDER}/${file} hex HEX)
        string(APPEND bytes ${hex})
    endforeach()
    string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    set(code "${code}\nconst unsigned char report_${name}[] = {\n${bytes}0};\n" PARENT_SCOPE)
endfunction()

embed(html report.html)
embed(css report.css)
embed(js ${SCRIPTS})
file(WRITE ${OUTPUT} "${code}")
