# CRS_LIBRARY(VARIABLE, PKG-CONFIG MODULES, PROLOGUE, BODY, NAME FOR A PERSON, DEBIAN PACKAGE)
# -------------------------------------------------------------------------------------------
# Takes the first of the modules (separated by blanks, each tried in turn; a version may follow: `hdf5>=1.10`)
# with which a program of PROLOGUE and BODY compiles and links; one that begins with a dash (`-lcsv`) is what is linked,
# without pkg-config. Sets VARIABLE_CFLAGS and VARIABLE_LIBS,
# which the user may set beforehand instead (no module is asked for then). Ends configure with the name of
# the Debian package where there is none.
AC_DEFUN([CRS_LIBRARY], [
AC_ARG_VAR([$1_CFLAGS], [C compiler flags for $5, overriding pkg-config])
AC_ARG_VAR([$1_LIBS], [linker flags for $5, overriding pkg-config])
AC_MSG_CHECKING([for $5])
crs_found=
crs_save_CFLAGS=$CFLAGS
crs_save_LIBS=$LIBS
crs_modules="$2"
AS_IF([test -n "$$1_CFLAGS$$1_LIBS"], [crs_modules=given])
for crs_module in $crs_modules; do
  AS_CASE([$crs_module],
    [given], [crs_name="as given"],
    [-*], [
    crs_name=$crs_module
    $1_LIBS=$crs_module
  ], [
    crs_spaced=`AS_ECHO(["$crs_module"]) | sed 's/[[<>=]]\{1,\}/ & /'`
    $PKG_CONFIG --exists "$crs_spaced" 2>/dev/null || continue
    crs_name=${crs_spaced%% *}
    $1_CFLAGS=`$PKG_CONFIG --cflags "$crs_name"`
    $1_LIBS=`$PKG_CONFIG --libs "$crs_name"`
  ])
  CFLAGS="$crs_save_CFLAGS $$1_CFLAGS"
  LIBS="$$1_LIBS $crs_save_LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([$3], [$4])], [crs_found=$crs_name])
  AS_IF([test -n "$crs_found"], [break])
done
CFLAGS=$crs_save_CFLAGS
LIBS=$crs_save_LIBS
AS_IF([test -n "$crs_found"],
  [AC_MSG_RESULT([$crs_found])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([$5 is missing (or does not link, see config.log). On Debian: apt-get install $6])])
])
