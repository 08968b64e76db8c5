@echo off
rem Sphinx's own targets, in an environment that has the group docs: make.bat html
rem English comes first; each language that has catalogues in locale goes into a folder of its own below it.
setlocal
cd /d "%~dp0"
if not defined SPHINXOPTS set SPHINXOPTS=-W --keep-going -n
if not defined SPHINXBUILD set SPHINXBUILD=sphinx-build

if "%1" == "" goto help
if "%1" == "help" goto help

%SPHINXBUILD% -b %1 -d _build\doctrees\en . _build\%1 %SPHINXOPTS% || exit /b 1
for /d %%l in (locale\*) do (
    %SPHINXBUILD% -b %1 -D language=%%~nxl -d _build\doctrees\%%~nxl . _build\%1\%%~nxl %SPHINXOPTS% || exit /b 1
)
exit /b 0

:help
%SPHINXBUILD% -M help . _build
